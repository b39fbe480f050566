#!/bin/sh
# Runs in the image just built, in the working directory of that image: against the database that DATABASE_URL names.
set -e
migrate
migrate | grep '^0 applied, 2 were applied before$'

echo 'CREATE TABLE broken (' >migrations/0003_broken.sql
if migrate; then echo 'a broken file was applied'; exit 1; fi
rm migrations/0003_broken.sql

pg_dump --schema-only --no-owner --dbname "$DATABASE_URL" >schema.sql
grep -c '^CREATE TABLE' schema.sql | grep '^3$'
