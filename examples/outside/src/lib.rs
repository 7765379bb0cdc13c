//! The package of an application team, whose content is the scenarios of its mesh (`stories/`, `tests/`).
