-- Each login and each batch looks a client's bindings up, whatever their state.
CREATE INDEX bindings_of_client ON bindings (doctor, kind, client);
