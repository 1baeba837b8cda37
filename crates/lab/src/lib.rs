//! Networks of kernel routers in namespaces, for the demo and the tests.
