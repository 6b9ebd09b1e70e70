//! A ward in one process: the demo a newcomer runs, and the home of the story tests.
