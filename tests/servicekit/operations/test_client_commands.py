"""What is given to operators to paste: a shell must take it apart into the words that the programs want."""

import subprocess

import pytest
from sqlalchemy import make_url

from servicekit.operations.client_commands import ask, run


def words(line: str) -> list[str]:
    """What a shell makes of it."""
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True
    )
    return printed.stdout.splitlines()


@pytest.mark.parametrize(
    ("url", "asking", "running"),
    [
        (
            "postgresql+asyncpg://u:canary@db.example:6432/shop",
            "pg_isready -h db.example -p 6432",
            "psql -h db.example -p 6432 -U u -d shop -c",
        ),
        (
            "postgresql+asyncpg://u@/shop?host=/run/a+folder",
            "pg_isready -h '/run/a folder' -p 5432",
            "psql -h '/run/a folder' -p 5432 -U u -d shop -c",
        ),
        (
            "mysql+asyncmy://u:canary@db.example/shop",
            "mysqladmin -h db.example -P 3306 ping",
            "mysql -h db.example -P 3306 -u u -p shop -e",
        ),
        (
            "mysql+asyncmy://a%20user@/shop?unix_socket=/run/sql.sock",
            "mysqladmin --socket=/run/sql.sock ping",
            "mysql --socket=/run/sql.sock -u 'a user' shop -e",
        ),
    ],
)
def test_the_place_is_the_services_and_the_statement_is_one_word(url: str, asking: str, running: str) -> None:
    statement = "SELECT '$HOME', \"a`b\""

    assert ask(make_url(url)) == asking
    assert words(run(make_url(url), statement)) == [*words(running), statement]


def test_several_statements_and_another_account() -> None:
    postgres, mysql = make_url("postgresql+asyncpg://u@h/d"), make_url("mysql+asyncmy://u@h/d")

    assert run(postgres, "A", "B", user="dba") == 'psql -h h -p 5432 -U dba -d d -c "A" -c "B"'
    assert run(mysql, "A", "B", user="dba") == 'mysql -h h -P 3306 -u dba d -e "A; B"'
