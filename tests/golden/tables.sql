-- Writes tables/duckdb_v1.parquet and tables/duckdb_v2.parquet: duckdb < tables.sql (DuckDB 1.5).
-- The test that reads them has the same formulas.
create table t as select
    i::INTEGER id,
    'town' || (i % 3) town,
    case when i % 7 = 0 then null else i * 0.25 end::DOUBLE n,
    (i % 2 = 0) flag,
    (i - 30)::DECIMAL(9, 2) / 4 price,
    case when i % 5 = 0 then null else 'note ' || i end note,
    DATE '1999-12-01' + i::INTEGER d,
    case when i % 3 = 0 then 'yes' else 'no' end y
from range(60) r(i);
copy t to 'tables/duckdb_v1.parquet' (format parquet, codec 'snappy', parquet_version 'V1');
copy t to 'tables/duckdb_v2.parquet' (format parquet, codec 'zstd', parquet_version 'V2');
