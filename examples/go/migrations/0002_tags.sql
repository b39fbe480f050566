CREATE TABLE tags (
    note bigint NOT NULL REFERENCES notes (id) ON DELETE CASCADE,
    name text NOT NULL,
    PRIMARY KEY (note, name)
);
