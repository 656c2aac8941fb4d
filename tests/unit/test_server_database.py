"""The server's database: SQLite, or a PostgreSQL that is named and never printed."""

import pytest
from postgresql import PASSWORD
from prefects import free_port

from isthmus.adapters import prefect_database
from isthmus.errors import Unprepared

VARIABLE = prefect_database.VARIABLE


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("mysql://user:canary@host/prefect", "begins with mysql://"),
        ("postgresql+psycopg2://user:canary@host/prefect", "only PostgreSQL URLs are supported"),
        ("postgresql://user:canary@host", "names no database"),
        ("postgresql://user:canary@host:port/prefect", "is no database URL"),
        ("user:canary", "is no database URL"),
    ],
)
def test_what_is_no_postgresql_url_is_told_without_its_password(tmp_path, monkeypatch, url, rule):
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(Unprepared) as caught:
        prefect_database.save_requested_url(tmp_path)
    assert rule in caught.value.message and VARIABLE in caught.value.message
    assert "canary" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path, monkeypatch):
    url = f"postgresql://isthmus:{PASSWORD}@127.0.0.1:{free_port()}/prefect"
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(Unprepared, match="cannot be used") as caught:
        prefect_database.save_requested_url(tmp_path)
    assert "isthmus:***@127.0.0.1" in caught.value.message
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_people_may_write_postgresqls_name_as_they_know_it(tmp_path, monkeypatch, scheme):
    monkeypatch.setenv(VARIABLE, f"{scheme}://isthmus:{PASSWORD}@db/prefect")
    assert prefect_database.requested_url(tmp_path) == (
        f"postgresql+asyncpg://isthmus:{PASSWORD}@db/prefect"
    )


def test_without_a_word_it_is_sqlite_in_the_servers_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    prefect_database.save_requested_url(tmp_path)
    assert prefect_database.url(tmp_path) == f"sqlite+aiosqlite:///{tmp_path}/prefect.db"
    assert prefect_database.kind(tmp_path) == "sqlite"
