//go:build !unix

package flock

import (
	"errors"
	"os"
)

func lock(*os.File) error {
	return errors.New("the development stack runs on Unix systems only")
}
