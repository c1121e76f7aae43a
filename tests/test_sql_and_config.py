"""Migrations, the table of SQL statements, and the configuration table."""

import itertools
import os
import re
import shutil
import subprocess

import pytest

from parley.stack import ROOT, binary

PROGRAMS = ["fcgi-app", "ws-daemon", "courier"]
EX_CONFIG = 78
_numbers = itertools.count(1)


@pytest.fixture
def database(cluster):
    """The conninfo of a new, empty database."""
    name = f"m{next(_numbers)}"
    cluster.execute(f"CREATE DATABASE {name}")
    return cluster.url(name)


@pytest.fixture
def migrated(database):
    assert migrate(database).returncode == 0
    return database


def migrate(database, script=ROOT / "db/migrate.sh"):
    return subprocess.run([str(script)], env={"PATH": os.environ["PATH"], "DATABASE_URL": database},
                          capture_output=True, text=True, timeout=60)


def run(program, *args, timeout=15, **env):
    """A program with nothing in its environment but env; one that goes on running counts as code None."""
    try:
        return subprocess.run([binary(program), *map(str, args)], capture_output=True, text=True, timeout=timeout,
                              env={"PATH": os.environ["PATH"], **env}, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as still:
        return subprocess.CompletedProcess(still.args, None, still.stdout, still.stderr)


def rows(cluster, database, sql):
    return cluster.execute(sql, dbname=database.rpartition("dbname=")[2])


def migrations():
    return sorted(p.name for p in (ROOT / "db").glob("*.sql"))


# ---------------------------------------------------------------------- migrations

def test_migrations_are_numbered_without_gaps():
    assert [int(re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", name)[1]) for name in migrations()] \
        == list(range(1, len(migrations()) + 1))


def test_each_migration_is_applied_once(cluster, database):
    first = migrate(database)
    assert first.returncode == 0, first.stderr
    applied = rows(cluster, database, "SELECT * FROM schema_migrations ORDER BY version")
    assert [row[1] for row in applied] == migrations()
    second = migrate(database)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert rows(cluster, database, "SELECT * FROM schema_migrations ORDER BY version") == applied


def test_several_hosts_may_migrate_at_once(cluster, database):
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": database}
    hosts = [subprocess.Popen([str(ROOT / "db/migrate.sh")], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) for _ in range(6)]
    output = [host.communicate(timeout=60)[0] for host in hosts]
    assert [host.returncode for host in hosts] == [0] * 6, output
    assert [row[0] for row in rows(cluster, database, "SELECT name FROM schema_migrations ORDER BY version")] == migrations()
    assert "".join(output).count(migrations()[0]) == 1


def test_failing_migration_changes_nothing(cluster, migrated, tmp_path):
    shutil.copytree(ROOT / "db", tmp_path / "db")
    (tmp_path / "db" / f"{len(migrations()) + 1:04d}_broken.sql").write_text("CREATE TABLE half_done (); SELECT 1/0;")
    failed = migrate(migrated, tmp_path / "db/migrate.sh")
    assert failed.returncode != 0 and "division by zero" in failed.stderr
    assert rows(cluster, migrated, "SELECT to_regclass('half_done')") == [(None,)]
    assert migrate(migrated).returncode == 0


def test_database_newer_than_the_migrations_is_named(cluster, migrated):
    rows(cluster, migrated, "INSERT INTO schema_migrations (version, name) VALUES (9000, '9000_future.sql')")
    failed = migrate(migrated)
    assert failed.returncode != 0
    assert "9000" in failed.stderr and "newer" in failed.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_database_newer_than_the_program_stops_its_start(cluster, migrated, tmp_path, program):
    rows(cluster, migrated, "INSERT INTO schema_migrations (version, name) VALUES (9000, '9000_future.sql')")
    failed = start(program, migrated, tmp_path)
    assert failed.returncode not in (None, 0)
    assert "9000" in failed.stderr and "newer" in failed.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_database_without_the_schema_stops_the_start(database, tmp_path, program):
    failed = start(program, database, tmp_path)
    assert failed.returncode not in (None, 0)
    assert "migrat" in failed.stderr


def start(program, database, directory):
    """Start a program as a service would; it is ended after a while if it runs."""
    return run(program, timeout=30, DATABASE_URL=database, KEY_FILE=str(directory / "keys"), FCGI_WORKERS="1",
               FCGI_LISTEN=str(directory / "api.sock"), WS_LISTEN=str(directory / "ws.sock"))


# ---------------------------------------------------------------------- every statement

def test_every_statement_prepares_against_the_migrated_schema(migrated):
    done = run("fcgi-app", "--check-sql", DATABASE_URL=migrated)
    assert done.returncode == 0, done.stderr


def test_a_role_that_owns_the_database_and_no_more_suffices(cluster):
    """As packages and hosters give one: no superuser."""
    cluster.execute("CREATE ROLE plain LOGIN")
    cluster.execute("CREATE DATABASE plain OWNER plain")
    database = f"host={cluster.dir} user=plain dbname=plain"
    first = migrate(database)
    assert first.returncode == 0, first.stderr
    done = run("fcgi-app", "--check-sql", DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    rows(cluster, database, "SET ROLE plain; SELECT audit_purge('400 days')")


def test_a_statement_that_does_not_prepare_is_named(cluster, migrated):
    """The control: the check above would notice."""
    rows(cluster, migrated, "ALTER TABLE users RENAME COLUMN username TO handle")
    done = run("fcgi-app", "--check-sql", DATABASE_URL=migrated)
    assert done.returncode not in (None, 0)
    assert "username" in done.stderr


# ---------------------------------------------------------------------- invalid settings

@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("key,value", [("BCRYPT_COST", "99"), ("BCRYPT_COST", "twelve"), ("BCRYPT_COST", "3"), ("BCRYPT_COST", "-4"),
                                       ("BCRYPT_COST", "10x"), ("FCGI_WORKERS", "0"), ("FCGI_WORKERS", "99999999999999999999"),
                                       ("LOG_FORMAT", "xml"), ("LOG_LEVEL", "loud"), ("CORS_ORIGINS", "chat.example")])
def test_invalid_setting_stops_the_start_with_a_sentence_naming_it(program, key, value):
    failed = run(program, DATABASE_URL="host=/nowhere", **{key: value})
    assert failed.returncode == EX_CONFIG, failed.stderr
    assert key in failed.stderr and value in failed.stderr


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("line,named", [("BCRYPT_COST=99", "BCRYPT_COST"), ("NO_SUCH_THING=1", "NO_SUCH_THING"),
                                        ("bcrypt_cost=10", "bcrypt_cost"), ("just words", ":4"), ("=5", ":4")])
def test_bad_line_of_the_configuration_file_is_named(program, tmp_path, line, named):
    file = tmp_path / "parley.env"
    file.write_text(f"# a comment\n\nDATABASE_URL=host=/nowhere\n{line}\n")
    failed = run(program, "--config", file)
    assert failed.returncode == EX_CONFIG, failed.stderr
    assert named in failed.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_missing_configuration_file_is_named(program, tmp_path):
    failed = run(program, "--config", tmp_path / "absent.env", DATABASE_URL="host=/nowhere")
    assert failed.returncode == EX_CONFIG
    assert "absent.env" in failed.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_unknown_option_is_named(program):
    failed = run(program, "--no-such-option", DATABASE_URL="host=/nowhere")
    assert failed.returncode not in (None, 0)
    assert "--no-such-option" in failed.stderr


def test_configuration_file_is_read_as_systemd_reads_it(migrated, tmp_path):
    file = tmp_path / "parley.env"
    for value in (migrated, f'"{migrated}"', f"'{migrated}'", f"{migrated}   "):
        file.write_text(f"# comment\n; comment too\n\nDATABASE_URL={value}\nLOG_LEVEL=info\n")
        done = run("fcgi-app", "--config", file, "--check-sql")
        assert done.returncode == 0, (value, done.stderr)


def test_environment_wins_over_the_file(migrated, tmp_path):
    file = tmp_path / "parley.env"
    file.write_text("DATABASE_URL=host=/nowhere\n")
    assert run("fcgi-app", "--config", file, "--check-sql").returncode not in (None, 0)
    assert run("fcgi-app", "--config", file, "--check-sql", DATABASE_URL=migrated).returncode == 0


# ---------------------------------------------------------------------- help (test_readme holds the README to it)

@pytest.mark.parametrize("program", PROGRAMS)
def test_help_shows_the_settings(program):
    done = run(program, "--help")
    assert done.returncode == 0 and done.stderr == ""
    shown = set(re.findall(r"^\s*([A-Z][A-Z0-9_]+)\b", done.stdout, re.M))
    assert {"DATABASE_URL", "KEY_FILE", "BCRYPT_COST", "LOG_FORMAT", "LOG_LEVEL"} <= shown
