// Package compose brings up docker-compose.yml with its profile regtest for a
// test: images built without a registry, a project of its own name on free
// ports, two api, two workers, btcd and two lnd, from nothing by one command.
// What runs there is what is deployed; a test reaches it through the proxy, and
// Postgres, Temporal and the nodes at the addresses that their containers have,
// which a test on the Docker host can.
//
// Environment: LNTPAY_COMPOSE=off says that this machine has no Docker daemon;
// without it a missing daemon fails the test. LNTPAY_COMPOSE_KEEP=1 leaves a
// project whose test failed running.
//
// The tests share one project (Shared). They run tests/suite on it; and under load
// they kill each api and worker, cut each from its networks for half a minute,
// restart all four one after another and lose the packets between each pair, then
// compare what clients were told with the database, the books and both nodes
// (TestFaults). LNTPAY_SOAK=1 (make soak) makes faults of minutes too: containers
// stand still, Temporal is away, lnd starts anew with a backlog. Receivers of webhooks are on
// this machine, behind a relay on the gateway of the workers' network.
//
// What is not here: the tests of the suite themselves, which run on any stack; the
// network that tests have in their own process (tests/regtest).
package compose
