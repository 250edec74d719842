-- name: CreateWorkspace :one
INSERT INTO workspace (id, name) VALUES (@id, @name) RETURNING *;

-- name: GetWorkspace :one
SELECT * FROM workspace WHERE id = @id;
