-- SQLite: what tells another content under the id of a stored batch. Batches stored before have none.
ALTER TABLE batches ADD COLUMN digest BLOB;
