-- What a session by a connection that waits for an owner issued is believed as far as whoever chose the provider, and keeps that
-- where the connection is deleted before an owner has confirmed it.
UPDATE tokens SET believed_up_to = chosen.up_to FROM (SELECT p.id AS parent, c.chosen_from AS up_to FROM connections c
    JOIN tokens p ON p.connection = c.id AND p.issued_at >= c.unconfirmed_at WHERE c.chosen_from IS NOT NULL) AS chosen
    WHERE chosen.parent = tokens.parent AND tokens.believed_up_to > chosen.up_to;
