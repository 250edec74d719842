// Package gingate is package gate for Gin. It is a module of its own, so that
// the SDK needs the standard library only.
package gingate

import (
	"github.com/gin-gonic/gin"

	"github.com/lntpay/lntpay/sdk/go/gate"
)

// Middleware lets paid and free requests through to the handlers after it, and
// answers the others. [gate.PaymentFrom] finds the payment in the context of the
// request.
//
//	router.GET("/report", gingate.Middleware(paid), report)
func Middleware(g *gate.Gate) gin.HandlerFunc {
	return func(c *gin.Context) {
		admission := g.Admit(c.Writer, c.Request)
		if admission == nil {
			c.Abort()

			return
		}
		c.Request = admission.Request()
		returned := false
		// A panic goes on to gin.Recovery. An answer that had begun before counts,
		// as in [gate.Gate.Handler].
		defer func() {
			if returned || c.Writer.Written() {
				admission.Done(c.Writer.Status())
			} else {
				admission.Done(0)
			}
		}()
		c.Next()
		returned = true
	}
}
