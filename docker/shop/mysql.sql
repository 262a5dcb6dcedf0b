-- The shop of docker/compose.yaml, and Headwater's user with the least privileges of docs/mysql.md.
CREATE DATABASE shop;
CREATE TABLE shop.products (id int PRIMARY KEY, name varchar(80) NOT NULL, price decimal(10, 2) NOT NULL);
INSERT INTO shop.products VALUES (1, 'lamp', 24.90), (2, 'chair', 89.00);

CREATE USER headwater@'%' IDENTIFIED BY 'headwater';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO headwater@'%';
GRANT SELECT, LOCK TABLES ON shop.* TO headwater@'%';
