-- The name that an identity provider shows for a user: the user name is derived from it, and may differ.
ALTER TABLE users ADD COLUMN display_name TEXT;

DROP VIEW users_with_roles;

CREATE VIEW users_with_roles AS
SELECT users.*,
    (SELECT json_group_array(role_name) FROM user_roles WHERE user_id = users.id
        AND role_name NOT IN (SELECT name FROM roles WHERE is_removed)) AS roles
FROM users
WHERE NOT is_removed;
