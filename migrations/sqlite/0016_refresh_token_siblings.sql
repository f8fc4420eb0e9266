-- How many siblings a spent refresh token has given: a client that refreshes twice at once, or again after a lost
-- response, gets one within the grace.
ALTER TABLE refresh_tokens ADD COLUMN siblings INTEGER NOT NULL DEFAULT 0;
