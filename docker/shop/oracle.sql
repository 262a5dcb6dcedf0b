-- The shop of docker/compose.yaml; the reader's user is made by docker/oracle/01-prepare.sh.
ALTER SESSION SET CONTAINER = FREEPDB1;
CREATE TABLE app.suppliers (id NUMBER(10) PRIMARY KEY, name VARCHAR2(80) NOT NULL);
ALTER TABLE app.suppliers ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;
INSERT INTO app.suppliers VALUES (1, 'Lamps and more');
COMMIT;
