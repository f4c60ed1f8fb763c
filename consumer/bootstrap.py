"""Builds the service: the only place where concrete objects are made and put together."""

import os
import socket
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence

import httpx2

from consumer.accounts import Account, Accounts, TenantWatch
from consumer.ahead import Ahead
from consumer.api.app import Parts, build_api, guarded
from consumer.api.claims import Rules
from consumer.api.key_set import KeySet
from consumer.api.server import ApiServer
from consumer.api.tokens import Authenticate, Keys, Secret, Tokens
from consumer.backlog import Backlog
from consumer.borrowing import from_service
from consumer.breaker import Breaker, BreakerPolicy
from consumer.clock import Clock, SystemClock
from consumer.credentials import Keyring
from consumer.delivery import Delivery
from consumer.dispatcher import Dispatcher
from consumer.gate import AccountGate
from consumer.gates import Gates
from consumer.gauges import BacklogGauges, LagGauges, ServiceStanding
from consumer.hotels import Hotels
from consumer.intake import Intake
from consumer.kafka import build_bulk_producer, build_consumer, build_producer, end_offsets
from consumer.lanes import Lanes
from consumer.leases import Leases
from consumer.logs import Lines, get_logger
from consumer.metrics import Metrics
from consumer.ownership import Ownership, Place
from consumer.processor import Processor
from consumer.publisher import Publisher
from consumer.readiness import Readiness
from consumer.rebalance import Drain, RebalanceListener
from consumer.registrar import Registrar
from consumer.results import Topics
from consumer.retrying import Retrying
from consumer.sedna.calls import CallDetails, TraceCall, Untraced
from consumer.sedna.catalogue import Catalogue
from consumer.sedna.client import SednaClient
from consumer.sedna.exchange import Exchange, Timeouts
from consumer.sedna.proxy import build_transport
from consumer.sedna.secrets import Credentials
from consumer.sedna.session import Session
from consumer.sedna.transport import build_ssl_context
from consumer.service import Service
from consumer.settings import Settings
from consumer.settled import Settled
from consumer.settler import Settler
from consumer.sync import Sync
from consumer.tracing import Tracing, is_wanted
from consumer.verdict import Policy
from consumer.watchdog import Watchdog
from db import migrate
from db.pool import Pool, open_pool
from db.records import TenantSettings

_log = get_logger(__name__)

#: Connections of the HTTP API, which are its own: callers cannot take those of the work.
_API_CONNECTIONS = 4
#: Seconds that one of the API's statements may take.
_API_STATEMENT = 10.0


async def build(settings: Settings, lines: Lines) -> Service:  # noqa: PLR0915  # one list of all parts
    """A service that is ready to run; the database is connected and checked, Kafka is not yet.

    Args:
        settings: of this process.
        lines: its log, for the line of each settled sync.

    Raises:
        DatabaseError: Postgres cannot be reached, or its tables are not those of this release.
        ValueError: a setting that the service needs is missing.
    """
    if settings.database_url is None or settings.encryption_keys is None:
        raise ValueError("the service needs DATABASE_URL and ENCRYPTION_KEYS")
    database_url = settings.database_url.get_secret_value()
    pool, api_pool = await _open_pools(database_url)

    clock = SystemClock()
    metrics = Metrics()
    client_id = f"sedna-sync-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    tracing = build_tracing(os.environ, instance=client_id)
    consumer = build_consumer(settings, client_id=client_id)
    delivery = Delivery(
        build=lambda: build_producer(settings, client_id=client_id),
        build_bulk=lambda: build_bulk_producer(settings, client_id=client_id),
    )
    kinds = settings.kinds
    topics = {kind: topic for topic, kind in kinds.items()}

    ownership = Ownership()
    leases = Leases(
        pool=pool,
        owner=client_id,
        clock=clock,
        ownership=ownership,
        topics=topics,
        duration=settings.lease,
        request_timeout=settings.request_timeout,
    )
    lanes = Lanes(
        max_in_flight=settings.max_in_flight,
        max_in_flight_per_tenant=settings.max_in_flight_per_tenant,
    )
    publisher = Publisher(
        pool=pool, delivery=delivery, ownership=ownership, leases=leases, tracing=tracing
    )

    def on_settled(group: Sequence[Settled]) -> None:
        now = clock.now()
        for each in group:
            metrics.settled(each.sync.kind, each.code, each.waited(now))
        lines.settled(each.line(now) for each in group)

    settler = Settler(
        pool=pool,
        topics=Topics(synced=settings.topic_synced, failed=settings.topic_failed),
        on_answered=publisher.written,
        on_settled=on_settled,
    )

    def pause(tenant_id: str, until: float) -> None:
        lanes.pause(tenant_id, until)
        dispatcher.kick()

    def resume(tenant_id: str) -> None:
        lanes.resume(tenant_id)
        dispatcher.kick()

    gates = Gates(
        pool=pool,
        clock=clock,
        policy=_breaker_policy(settings),
        on_shut=pause,
        on_open=resume,
    )
    accounts = Accounts(
        pool=pool,
        build=AccountBuilder(
            settings=settings,
            clock=clock,
            environ=os.environ,
            observe=metrics.called,
            trace=tracing.call,
        ),
        gates=gates,
        on_loaded=lanes.set_limit,
    )
    # Two that tell each other: what leaves the lanes makes room, and what comes in is to be run.
    backlog = Backlog(pool=pool, lanes=lanes, ownership=ownership, leases=leases)
    ahead = Ahead(pool=pool, lanes=lanes, accounts=accounts, backlog=backlog)
    processor = Processor(
        pool=pool,
        lanes=lanes,
        accounts=accounts,
        settler=settler,
        leases=leases,
        owner=client_id,
        clock=clock,
        policy=Policy(
            retry_base=settings.retry_base,
            retry_cap=settings.retry_cap,
            doubt_window=settings.doubt_window,
            give_up_after=settings.give_up_after,
        ),
        tracing=tracing,
        clear_way=ahead.clear,
        on_room=backlog.drained,
        on_let_go=backlog.look,
    )
    dispatcher = Dispatcher(
        lanes=lanes,
        clock=clock,
        process=processor.process,
        on_parked=backlog.drained,
        give_up_after=settings.give_up_after,
    )

    def admit(sync: Sync) -> None:
        processor.admit(sync)
        dispatcher.kick()

    backlog.admit_with(admit)
    registrar = Registrar(
        pool=pool,
        clock=clock,
        topic_failed=settings.topic_failed,
        topic_deadletter=settings.topic_deadletter,
        on_seen=metrics.of_topics(topics),
    )
    intake = Intake(
        consumer=consumer,
        registrar=registrar,
        ownership=ownership,
        kinds=kinds,
        backlog=backlog,
        publisher=publisher,
        tracing=tracing,
    )
    drain = Drain(
        ownership=ownership,
        intake=intake,
        lanes=lanes,
        dispatcher=dispatcher,
        backlog=backlog,
        publisher=publisher,
        leases=leases,
        timeout=settings.drain_timeout,
    )

    standing = ServiceStanding(
        backlog=BacklogGauges(pool=pool, leases=leases, clock=clock),
        lag=LagGauges(consumer=consumer, ownership=ownership, topics=topics),
        blocked=lambda: accounts.unusable() | gates.reasons(),
        worked_for=lambda: [stream.tenant_id for stream in backlog.streams()],
    )
    metrics.show(standing)

    def on_leases_acquired() -> None:
        backlog.look()
        publisher.look()
        standing.look()

    def on_leases_lost(lost: Collection[Place]) -> None:
        streams = [each for each in backlog.streams() if (each.kind, each.partition) in lost]
        backlog.revoked(streams)
        lanes.drop(streams)

    leases.tell(on_acquired=on_leases_acquired, on_lost=on_leases_lost)

    def on_tenant_changed(tenant_id: str) -> None:
        accounts.forget(tenant_id)
        lanes.wake_tenant(tenant_id)
        dispatcher.kick()

    readiness = Readiness(
        pool=api_pool, consumer=consumer, ownership=ownership, clock=clock.elapsed
    )
    parts = Parts(
        pool=api_pool,
        hotels=Hotels(pool=api_pool, borrow=from_service(accounts)),
        retrying=Retrying(api_pool),
        readiness=readiness,
        metrics=metrics,
    )

    return Service(
        pool=pool,
        consumer=consumer,
        delivery=delivery,
        topics=list(kinds),
        result_topics=[settings.topic_synced, settings.topic_failed, settings.topic_deadletter],
        listener=RebalanceListener(
            consumer=consumer,
            kinds=kinds,
            ownership=ownership,
            leases=leases,
            drain=drain,
        ),
        intake=intake,
        backlog=backlog,
        dispatcher=dispatcher,
        processor=processor,
        settler=settler,
        publisher=publisher,
        leases=leases,
        accounts=accounts,
        standing=standing,
        drain=drain,
        watchdog=Watchdog(
            consumer=consumer,
            intake=intake,
            ownership=ownership,
            kinds=kinds,
            end_offsets=lambda partitions: end_offsets(settings, partitions, client_id=client_id),
        ),
        tenant_watch=TenantWatch(
            database_url=database_url,
            on_change=on_tenant_changed,
            on_work=backlog.told,
            on_reconnected=(accounts.forget_all, backlog.look),
        ),
        api=ApiServer(
            guarded(
                build_api(parts),
                authenticate=build_authentication(settings, clock),
                is_idle=lambda: not lanes.in_flight and not intake.is_taking_in,
            ),
            host=settings.api_host,
            port=settings.api_port,
        ),
        api_pool=api_pool,
        readiness=readiness,
        tracing=tracing,
    )


async def _open_pools(database_url: str) -> tuple[Pool, Pool]:
    """Connections for the work, and others for the HTTP API."""
    pool = await open_pool(database_url, max_size=10, command_timeout=10)
    try:
        await migrate.check(pool)
        return pool, await open_pool(
            database_url, max_size=_API_CONNECTIONS, command_timeout=_API_STATEMENT
        )
    except BaseException:
        await pool.close()
        raise


def build_tracing(environ: Mapping[str, str], *, instance: str) -> Tracing:
    """Who traces: nobody, unless OpenTelemetry's own variables ask for it.

    A platform may set them for all that it runs, so that what is not installed only warns.

    Args:
        environ: the environment.
        instance: this process' name.

    Raises:
        SettingsError: one of them cannot be used.
    """
    if not is_wanted(environ):
        return Tracing()
    try:
        from consumer import otel  # noqa: PLC0415  # an extra, and paid for by who wants it alone
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        _log.warning(
            "tracing_not_installed",
            do="pip install 'sedna-sync[otel]', or set OTEL_SDK_DISABLED=true",
        )
        return Tracing()
    return otel.build(instance=instance)


def _breaker_policy(settings: Settings) -> BreakerPolicy:
    return BreakerPolicy(
        failures=settings.breaker_failures,
        cool_down=settings.breaker_cool_down,
        longest=settings.retry_cap,
    )


def build_authentication(settings: Settings, clock: Clock) -> Authenticate | None:
    """Who judges the callers' tokens; None if no key is set that could sign one."""
    keys: Keys
    if settings.api_jwt_secret is not None:
        algorithm = settings.api_jwt_algorithm or "HS256"
        keys = Secret(settings.api_jwt_secret.get_secret_value())
    elif settings.api_jwks_url is not None:
        algorithm = settings.api_jwt_algorithm or "RS256"
        keys = KeySet(url=settings.api_jwks_url, algorithm=algorithm, clock=clock.elapsed)
    else:
        _log.info(
            "api_not_configured",
            do="set SEDNA_SYNC_API_JWT_SECRET or SEDNA_SYNC_API_JWKS_URL to open /api",
        )
        return None
    return Tokens(
        algorithm=algorithm,
        keys=keys,
        rules=Rules(audience=settings.api_jwt_audience, leeway=settings.api_jwt_leeway),
        now=lambda: clock.now().timestamp(),
    ).tenant_of


class AccountBuilder:
    """Makes tenants' accounts; all of them share one SSL context, and nothing else."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        environ: Mapping[str, str],
        observe: Callable[[CallDetails], None] = lambda _: None,
        trace: TraceCall = Untraced,
    ) -> None:
        """Build it; `trace` is told of each request as it begins, `observe` what it came to.

        Raises:
            ValueError: there are no ENCRYPTION_KEYS.
        """
        if settings.encryption_keys is None:
            raise ValueError("accounts need ENCRYPTION_KEYS")
        self._settings = settings
        self._keyring = Keyring.parse(settings.encryption_keys.get_secret_value())
        self._clock = clock
        self._environ = environ
        self._observe = observe
        self._trace = trace
        self._ssl_context = build_ssl_context()

    def __call__(
        self,
        tenant: TenantSettings,
        mappings: Mapping[str, int],
        gate: AccountGate | None = None,
    ) -> Account:
        """Build one tenant's account; nothing is sent.

        Args:
            tenant: its settings.
            mappings: hotel ids by `matching.mapping_key`.
            gate: what its requests ask; None: one of its own, that nobody else hears of.

        Raises:
            CannotDecrypt: the stored password does not open.
            ValueError: the address or the proxy cannot be used.
        """
        settings = self._settings
        credentials = Credentials(
            tenant.sedna_username,
            self._keyring.decrypt(tenant.sedna_password_encrypted, tenant_id=tenant.tenant_id),
        )
        try:
            transport = build_transport(
                base_url=tenant.sedna_api_url,
                max_connections=tenant.max_in_flight or settings.max_in_flight_per_tenant,
                ssl_context=self._ssl_context,
                allow_private_addresses=settings.allow_private_addresses,
                environ=self._environ,
            )
        except httpx2.InvalidURL as error:
            raise ValueError(
                f"the address of tenant {tenant.tenant_id} is no URL ({error}): set it with "
                f"`sedna-sync tenant set {tenant.tenant_id} --url`"
            ) from None
        if gate is None:
            gate = AccountGate(
                breaker=Breaker(_breaker_policy(settings)),
                pacer=None,
                clock=self._clock.elapsed,
                on_change=lambda _gate, _change: None,
            )
        exchange = Exchange(
            base_url=tenant.sedna_api_url,
            credentials=credentials,
            transport=transport,
            timeouts=Timeouts(connect=settings.connect_timeout, request=settings.request_timeout),
            clock=self._clock.elapsed,
            observe=self._observe,
            gate=gate,
            trace=self._trace,
        )
        session = Session(
            exchange=exchange,
            credentials=credentials,
            operator_id=tenant.sedna_operator_id,
            clock=self._clock.elapsed,
        )
        client = SednaClient(
            session=session,
            credentials=credentials,
            # A: who has no code of its own is shown by its user name.
            operator_code=tenant.sedna_operator_code or tenant.sedna_username,
            authority_id=tenant.sedna_authority_id,
        )
        return Account(
            settings=tenant,
            mappings=mappings,
            gate=gate,
            client=client,
            catalogue=Catalogue(
                client=client, clock=self._clock.elapsed, ttl=settings.catalogue_ttl
            ),
            transport=transport,
        )
