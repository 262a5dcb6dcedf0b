-- Ratings come in on a topic of another producer; customers are captured from the database.
CREATE STREAM ratings (rating_id BIGINT, user_id INT, stars INT, rating_time BIGINT, channel STRING, message STRING)
  WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON', TIMESTAMP = 'rating_time');
CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');

-- Each rating with who gave it.
CREATE STREAM ratings_with_customer_data
  WITH (KAFKA_TOPIC = 'ratings-with-customer-data', FIELD_CASE = 'LOWER', PARTITIONS = 1) AS
  SELECT r.user_id, AS_VALUE(r.user_id) AS customer_id, r.rating_id, r.stars, r.message, r.channel,
    c.first_name, c.last_name, c.email, c.club_status, r.rating_time
  FROM ratings r LEFT JOIN customers c ON r.user_id = c.id;

-- How many there are in each minute, by club.
CREATE TABLE ratings_by_club_status
  WITH (KAFKA_TOPIC = 'ratings-by-club-status', FIELD_CASE = 'LOWER', PARTITIONS = 1) AS
  SELECT club_status, AS_VALUE(club_status) AS club, WINDOWSTART AS minute, COUNT(*) AS ratings
  FROM ratings_with_customer_data WINDOW TUMBLING (SIZE 1 MINUTE)
  GROUP BY club_status;
