-- The suite of a client's last session, so that a link which a later quantum computer could open is known also while it rests.
ALTER TABLE bindings ADD COLUMN suite INTEGER;
