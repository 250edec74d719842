package storetest

import "github.com/lntpay/lntpay/store/db"

func dbWorkspace(id string) db.CreateWorkspaceParams {
	return db.CreateWorkspaceParams{ID: id, Name: "test"}
}
