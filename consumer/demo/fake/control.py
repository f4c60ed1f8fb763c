"""The fake's control path `/_fake/…`: what it holds, what it was asked, its switches. Not of Sedna.

Tells what was sent to the fake, of all accounts, but never a password, cookie or query string.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from consumer.demo.fake.accounts import ConfigError, read_accounts
from consumer.demo.fake.calls import Reply, Request
from consumer.demo.fake.exchange import Exchanges
from consumer.demo.fake.faults import Faults, read_faults
from consumer.demo.fake.journal import Journal
from consumer.demo.fake.state import AccountState, FakeState

CONTROL_PATH = "/_fake"
_DEFAULT_LIMIT = 1000


class _BadRequest(Exception):
    """The control request cannot be carried out; says why."""


class Control:
    """Answers the control path."""

    def __init__(
        self, *, state: FakeState, faults: Faults, journal: Journal, exchanges: Exchanges
    ) -> None:
        self._state = state
        self._faults = faults
        self._journal = journal
        self._exchanges = exchanges
        self._routes: dict[tuple[str, str], Callable[[dict[str, str], Any], Any]] = {
            ("GET", "/state"): self._get_state,
            ("GET", "/requests"): self._get_requests,
            ("GET", "/faults"): self._get_faults,
            ("PUT", "/faults"): self._put_faults,
            ("PUT", "/accounts"): self._put_accounts,
            ("POST", "/reset"): self._reset,
            ("POST", "/expire-sessions"): self._expire_sessions,
            ("POST", "/release"): self._release,
        }

    def answer(self, request: Request) -> Reply:
        """The reply to a control request; 400 says what is wrong with it, 404 that it is none."""
        route = self._routes.get((request.method, request.path.removeprefix(CONTROL_PATH)))
        if route is None:
            known = sorted(f"{method} {CONTROL_PATH}{path}" for method, path in self._routes)
            return Reply.json({"error": "no such control", "known": known}, status=404)
        query = {name: values[-1] for name, values in parse_qs(request.query_string).items()}
        try:
            body = json.loads(request.body) if request.body else None
            return Reply.json(route(query, body))
        except (_BadRequest, ConfigError) as error:
            return Reply.json({"error": str(error)}, status=400)
        except ValueError:
            return Reply.json({"error": "a value of the query or the body is wrong"}, status=400)

    def _account(self, query: dict[str, str]) -> AccountState | None:
        name = query.get("account")
        if name is None:
            return None
        if name not in self._state.accounts:
            raise _BadRequest(f"no account {name!r}; there are {sorted(self._state.accounts)}")
        return self._state.accounts[name]

    def _get_state(self, query: dict[str, str], _body: Any) -> Any:
        account = self._account(query)
        if account is not None:
            return self._state_of(account)
        return {"accounts": [self._state_of(each) for each in self._state.accounts.values()]}

    def _state_of(self, account: AccountState) -> dict[str, Any]:
        name = account.config.name
        return {
            **account.as_json(),
            "in_flight": self._journal.in_flight[name],
            "most_in_flight": self._journal.most_in_flight[name],
            "calls": {op: n for (who, op), n in self._journal.counts.items() if who == name},
        }

    def _get_requests(self, query: dict[str, str], _body: Any) -> Any:
        account, operation = query.get("account"), query.get("operation")
        after, limit = int(query.get("after", "0")), int(query.get("limit", _DEFAULT_LIMIT))
        found = [
            entry.as_json()
            for entry in self._journal.entries
            if entry.request > after
            and account in (None, entry.account)
            and operation in (None, entry.operation)
        ]
        return {"requests": found[:limit], "hung": self._exchanges.hung}

    def _get_faults(self, _query: dict[str, str], _body: Any) -> Any:
        return {"rules": list(self._faults.as_json())}

    def _put_faults(self, _query: dict[str, str], body: Any) -> Any:
        rules, seed = body, None
        if isinstance(body, dict):
            rules, seed = body.get("rules"), body.get("seed")
        if seed is not None and not isinstance(seed, int):
            raise _BadRequest("seed must be a number")
        self._faults.replace(read_faults(rules), seed=seed)
        return self._get_faults({}, None)

    def _put_accounts(self, _query: dict[str, str], body: Any) -> Any:
        self._state.configure(read_accounts(body))
        return {"accounts": sorted(self._state.accounts)}

    def _reset(self, _query: dict[str, str], _body: Any) -> Any:
        self._exchanges.forget_late()
        self._state.clear()
        self._faults.clear()
        self._journal.clear()
        return {"reset": True}

    def _expire_sessions(self, query: dict[str, str], _body: Any) -> Any:
        self._state.sessions.expire(self._account(query))
        return {"expired": True}

    def _release(self, _query: dict[str, str], _body: Any) -> Any:
        return {"released": self._exchanges.release()}
