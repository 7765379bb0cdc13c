//! The package of an application team, which contains only tests of its mesh (`scenarios/`, `tests/`).
