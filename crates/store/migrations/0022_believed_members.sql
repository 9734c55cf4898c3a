-- How far it is believed that whoever opened the link of a membership is the person: the rank of the lowest who had seen the
-- link, then. Who chose their password by it signs in as no more. Those of before are believed without limit; 1000 is everybody.
ALTER TABLE memberships ADD COLUMN believed_up_to INT NOT NULL DEFAULT 1000;

-- How far it is believed what Google says: as far as everybody stood who chose by which right it is asked. Those of before stand.
ALTER TABLE google_sources ADD COLUMN believed_up_to INT NOT NULL DEFAULT 1000;
