//! What a team ships: here, the stories of its mesh (`stories/`, `tests/`).
