-- How high stands who ordered an agent to stop: nobody below lets it go on, whose ever it is. Of those that were stopped before
-- nobody knows.
ALTER TABLE agents ADD COLUMN paused_rank INT;
