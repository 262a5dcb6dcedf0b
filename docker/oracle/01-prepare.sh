#!/bin/bash
# Once, when the database is made: ARCHIVELOG, supplemental logging, larger online logs, and the reader's user with
# the least grants of docs/oracle.md.
set -euo pipefail
sqlplus -S / as sysdba <<'SQL'
whenever sqlerror exit failure
shutdown immediate
startup mount
alter database archivelog;
alter database open;
whenever sqlerror continue
alter pluggable database all open;
whenever sqlerror exit failure
alter database add supplemental log data;
alter database add logfile size 200M;
alter database add logfile size 200M;
alter database add logfile size 200M;
create user c##cdc identified by cdc container=all;
grant create session, set container, select any table, flashback any table, select any transaction, logmining to c##cdc container=all;
grant select_catalog_role, execute_catalog_role to c##cdc container=all;
grant execute on sys.dbms_logmnr to c##cdc container=all;
grant select on sys.v_$database to c##cdc container=all;
grant select on sys.v_$log to c##cdc container=all;
grant select on sys.v_$logfile to c##cdc container=all;
grant select on sys.v_$archived_log to c##cdc container=all;
grant select on sys.v_$archive_dest_status to c##cdc container=all;
grant select on sys.v_$thread to c##cdc container=all;
grant select on sys.v_$transaction to c##cdc container=all;
grant select on sys.v_$logmnr_logs to c##cdc container=all;
grant select on sys.v_$logmnr_contents to c##cdc container=all;
grant select on sys.v_$log_history to c##cdc container=all;
grant select on sys.v_$mystat to c##cdc container=all;
grant select on sys.v_$statname to c##cdc container=all;
alter session set container = FREEPDB1;
grant connect, resource, unlimited tablespace to app;
grant alter system to app;
SQL
