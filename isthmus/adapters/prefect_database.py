"""Which database our own Prefect server has: SQLite in its folder, or a PostgreSQL by URL."""

import asyncio
import os
from pathlib import Path

from isthmus import state
from isthmus.errors import Unprepared

VARIABLE = "ISTHMUS_DATABASE_URL"
OWN = "sqlite"
"""What a person sets the variable to, to leave PostgreSQL again."""
DRIVER = "postgresql+asyncpg"
SHORT = ("postgres", "postgresql")
"""Schemes that people write for the same."""
EXAMPLE = f"{VARIABLE}={DRIVER}://USER:PASSWORD@HOST:5432/DATABASE, or {VARIABLE}={OWN}"
CONNECT_TIMEOUT = 10.0
"""Seconds until a database that does not answer is told."""


def requested_url(home: Path) -> str:
    """Return the URL that the variable asks for, or else the one that was remembered, or nothing.

    Raises Unprepared if the variable is not a URL of PostgreSQL's.
    """
    if text := os.environ.get(VARIABLE, ""):
        return "" if text == OWN else _normal(text)
    return _remembered(home)


def save_requested_url(home: Path) -> None:
    """Remember what `requested_url` says, after a look whether that database can be used.

    Raises Unprepared, without the password, if it cannot.
    """
    if text := requested_url(home):
        _look(text)
        state.write_private(home / "database", text)
    else:
        (home / "database").unlink(missing_ok=True)


def url(home: Path) -> str:
    """Return the URL of the remembered database; it may hold a password."""
    return _remembered(home) or f"sqlite+aiosqlite:///{home / 'prefect.db'}"


def differs(home: Path) -> bool:
    """Tell whether the variable asks for another database than the remembered one."""
    return requested_url(home) != _remembered(home)


def kind(home: Path) -> str:
    """Return `sqlite` or `postgresql`."""
    return "postgresql" if _remembered(home) else OWN


def _remembered(home: Path) -> str:
    try:
        return (home / "database").read_text().strip()
    except OSError:
        return ""


def _normal(text: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(text)
    except (ArgumentError, ValueError):
        # Neither the text nor what SQLAlchemy says of it: a password may be in it.
        raise _wrong("is no database URL") from None
    scheme = DRIVER if found.drivername in SHORT else found.drivername
    if scheme != DRIVER:
        raise _wrong(f"begins with {found.drivername}://, but only PostgreSQL URLs are supported")
    if not found.database:
        raise _wrong("names no database")
    return found.set(drivername=scheme).render_as_string(hide_password=False)


def _wrong(what: str) -> Unprepared:
    return Unprepared(f"{VARIABLE} {what}", step="Prefect server", hint=f"such as {EXAMPLE}")


def _look(text: str) -> None:
    from sqlalchemy.engine import make_url

    try:
        asyncio.run(_connect(text))
    except Exception as error:  # asyncpg's, SQLAlchemy's and the system's own have no common base
        where = make_url(text)
        cause = getattr(error, "orig", None) or error
        said = next(iter(str(cause).splitlines()), "") or type(cause).__name__
        said = said.replace(where.password or "\0", "***")
        shown = where.render_as_string(hide_password=True)
        hint = f"look at user, password, database and server; set it with {EXAMPLE}"
        message = f"its database {shown} cannot be used: {said}"
        raise Unprepared(message, step="Prefect server", hint=hint) from None


async def _connect(text: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine(text, poolclass=NullPool)
    async with asyncio.timeout(CONNECT_TIMEOUT), engine.connect():
        pass
