"""Every setting: its name, its variable, its default and what it does. The only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Literal, get_type_hints
from urllib.parse import urlsplit

from apothecary.errors import StartError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.family import MEDICATION_FAMILY
from apothecary.fhir.releases import FhirVersion
from apothecary.setting_values import as_text, convert, setting
from apothecary.suggestions import or_rather

PREFIX = "APOTHECARY_"

_DEFAULT_VERSION = FhirVersion.R5
_address = lru_cache(maxsize=16)(ip_address)  # each request asks what the host is


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one server runs. `from_environment` reads `APOTHECARY_<FIELD>`; command-line options override."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on. On any but a loopback address the server is read-only unless writes are opened.",
    )
    port: int = setting(8080, "Port to listen on; 0 for any free port.", most=65535)
    share_port: bool = setting(
        False, "Let several servers listen on one port of this machine. All must be on the same database."
    )
    workers: int = setting(1, "Number of server processes.")
    threads: int = setting(2, "Threads that answer requests in each process.", least=1)
    write_queue: int = setting(256, "Most writes that wait in each process; another one is answered with 503.", least=1)
    database: str = setting(
        "sqlite:///apothecary.db", "SQLAlchemy URL of the database: sqlite:///file.db or postgresql+psycopg://..."
    )
    read_database: str = setting(
        "",
        "URL of a streaming standby of a PostgreSQL database: reads and searches go there; empty: all go to database.",
    )
    content: str = setting(
        "resources", "What to serve: a folder of FHIR files, a FHIR package (.tgz, .zip), or a file. Empty for nothing."
    )
    resource_types: str = setting(
        "",
        "Served resource types, separated by commas; * for all of the FHIR version; empty for the medication family.",
    )
    fhir_version: FhirVersion = setting(_DEFAULT_VERSION, "FHIR version of the base /fhir: R4, R4B or R5.")
    base_url: str = setting(
        "", "Public address that stands in links, such as https://drugs.example/fhir; empty: taken from each request."
    )
    trust_forwarded: bool = setting(
        False,
        "Believe Forwarded, X-Forwarded-Host, -Proto, -Port and -Prefix in links. Only behind a proxy that sets them.",
    )
    open_writes: bool = setting(
        False, "Accept writes on an address that is not loopback, without authorization. Meant for closed networks."
    )
    authorization: Literal["off", "smart"] = setting(
        "off", "Who may ask: off is everybody; smart asks for an access token (SMART Backend Services, or an issuer's)."
    )
    clients: str = setting(
        "clients",
        "Folder of the clients that get access tokens here, one YAML file each; empty: none, and no token endpoint.",
    )
    token_seconds: int = setting(
        300, "How long an access token of this server is good for, in seconds.", least=1, most=3600
    )
    issuers: str = setting(
        "",
        "Issuers, separated by commas, whose access tokens are taken as well: Keycloak, Entra or any OpenID provider.",
    )
    audience: str = setting(
        "",
        "What tokens of these issuers must be for (their claim aud), separated by commas; empty: the public address.",
    )
    scope_claims: str = setting(
        "scope,scp,roles,realm_access.roles",
        "Claims of these issuers' tokens, separated by commas, that hold scopes, or what scope_map has scopes for.",
    )
    scope_map: str = setting(
        "",
        "Scopes for what these claims hold, as YAML or JSON: {pharmacists: system/*.rs}; what has none counts itself.",
    )
    audit: Literal["off", "file", "store"] = setting(
        "off",
        "Whether each request that reads or changes resources is recorded as an AuditEvent: in files, or in the store.",
    )
    audit_folder: str = setting("audit", "Folder of the record in files; all processes of a server share it.")
    audit_bytes: int = setting(64 * 1024 * 1024, "Bytes after which the record goes on in another file.", least=1)
    audit_files: int = setting(100, "Most files of the record that are kept; the oldest goes first. 0 keeps all.")
    audit_durability: Literal["full", "normal"] = setting(
        "full",
        "The record in files: full has each line on the disk before its request is answered, normal may lose the last "
        "ones in a power cut.",
    )
    audit_values: bool = setting(
        True, "Whether the record has the values of parameters; false: keyed hashes in their place, by the secret."
    )
    rate_limit: str = setting(
        "",
        "Most requests of each client, such as 50/second;10000/hour; of each address where no client is known. Empty: "
        "no limit.",
    )
    rate_limit_storage: str = setting(
        "memory://",
        "Where requests are counted: memory:// by each process for itself, or a Redis that several share, redis://...",
    )
    read_only: bool = setting(False, "Refuse every write over REST, whatever the address.")
    page_size: int = setting(20, "Matches on a search page when _count is not given.")
    page_size_limit: int = setting(1000, "Largest _count; a larger one is capped and the self link shows it.")
    open_world_types: str = setting(
        "ClinicalUseDefinition",
        "Resource types, separated by commas, whose searches say when they find nothing that absence is no evidence.",
    )
    total_limit: int = setting(100_000, "Most index entries that a total counts; of more it is an estimate.", least=1)
    page_look_limit: int = setting(10_000, "Most resources looked at singly for a page; it ends early then.", least=1)
    include_limit: int = setting(
        1000, "Most resources that includes may add to one page; past it the search is an error, never cut short."
    )
    answer_limit: int = setting(
        64 * 1024 * 1024,
        "Most bytes of resources in one answer; a page ends before it has more, with a link to the next.",
    )
    search_clause_limit: int = setting(100, "Most parameters and comma-separated values in one search.")
    references: Literal["enforced", "allowed"] = setting(
        "enforced", "Whether a REST write may point to a local resource that does not exist: enforced refuses it."
    )
    delete_referenced: Literal["refused", "allowed"] = setting(
        "refused", "Whether a resource that others point to may be deleted over REST."
    )
    conditional_delete: Literal["single", "multiple"] = setting(
        "single", "Whether a conditional delete may delete more than one resource."
    )
    bundle_limit: int = setting(5000, "Most entries of a batch or transaction.")
    detect_issues_limit: int = setting(
        400, "Most drugs that $detect-issues looks at together; a longer list is refused.", least=1
    )
    expansion_limit: int = setting(10_000, "Most codes that $expand gives in one answer; count asks for fewer.")
    body_limit: int = setting(32 * 1024 * 1024, "Largest request body in bytes.")
    body_seconds: float = setting(60.0, "Longest time that the body of a request may take to arrive.")
    url_limit: int = setting(16 * 1024, "Longest request URL in bytes.")
    form_limit: int = setting(1024 * 1024, "Largest form of a search by POST in bytes.")
    parameter_limit: int = setting(200, "Most parameters in the address and the form of a request, or in a condition.")
    index_limit: int = setting(
        50_000,
        "Most values that searches find one resource by, written over REST; 20 times as many in what is loaded.",
        least=1,
    )
    text_limit: int = setting(
        2_000_000, "Most characters of text in one resource, written over REST; 20 times as many in what is loaded."
    )
    patch_limit: int = setting(1000, "Most operations of one patch.")
    request_seconds: float = setting(
        30.0,
        "Longest time that a database statement, or the work on a bundle, may take before it is answered with 503.",
    )
    database_seconds: float = setting(
        5.0,
        "Longest time that PostgreSQL may take to answer at all; then requests are answered with 503 until it does.",
    )
    stop_seconds: float = setting(
        8.0, "Longest time that requests in flight have to end when the server is stopped; then they are cut off."
    )
    durability: Literal["full", "normal"] = setting(
        "full", "SQLite: full survives a power cut after each commit, normal may lose the last commits then."
    )
    sqlite_cache: int = setting(256, "SQLite: most megabytes of the database that each thread keeps in memory.")
    cache_bytes: int = setting(
        32 * 1024 * 1024,
        "Most bytes of answers that each process keeps, to give them again while the database says that nothing "
        "changed; 0 for none.",
    )
    export_jobs: int = setting(
        10, "Most exports that are kept, running or done; another $export is answered with 429. 0 for none.", most=1000
    )
    export_seconds: int = setting(3600, "How long the files of an export are kept once it is done.", least=1)
    export_file_bytes: int = setting(
        64 * 1024 * 1024, "Bytes of resources after which an export begins another file of a type.", least=1
    )
    export_bytes: int = setting(
        8 * 1024 * 1024 * 1024,
        "Most bytes that the files of all exports and publications take in the database, compressed; an export past "
        "it fails.",
    )
    publish_seconds: int = setting(
        300, "Seconds between two editions of $bulk-publish, where anything changed; 0: it is not offered."
    )
    cds_hooks: bool = setting(
        False, "Whether EHRs may ask by CDS Hooks what is stated against orders, at /cds-services beside /fhir."
    )
    cors_origins: str = setting(
        "*", "Origins of web pages that may call, by commas: a named one may read and write, * lets all others read."
    )
    hosts: str = setting(
        "",
        "Names of this server in the header Host, separated by commas, besides its addresses and the name in the "
        "public address; * for any.",
    )
    secret: str = setting(
        "", "Key that signs page links, the same on every server behind one address; empty: one kept in the database."
    )
    request_log: Literal["off", "json"] = setting(
        "off", "Whether a line of JSON is written to standard output for each request; never with values of parameters."
    )
    request_log_address: bool = setting(False, "Whether the request log has the client's address.")
    metrics_folder: str = setting(
        "",
        "Folder where the processes of one server add up their metrics; empty: apothecary serve makes one if needed.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "Least severity that is logged.")

    def __post_init__(self) -> None:
        if self.base_url and not _is_address(self.base_url):
            raise StartError(
                f"{PREFIX}BASE_URL={self.base_url!r}: write an address such as https://drugs.example/fhir, "
                "without a question mark or a fragment."
            )
        if self.authorized and not self.base_url and not self.loopback:
            # Tokens are for an address. One that a request could choose would make a token for one server one for all.
            raise StartError(
                f"{PREFIX}AUTHORIZATION={self.authorization} needs {PREFIX}BASE_URL where the address is not loopback: "
                "the address that clients know, such as https://drugs.example/fhir."
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Settings from `APOTHECARY_...` variables.

        `overrides` that are not None win. Raises StartError for a bad or unknown value.
        """
        source = os.environ if environment is None else environment
        hints = get_type_hints(cls)
        known = {f.name: f.metadata["bounds"] for f in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in source.items():
            if not variable.startswith(PREFIX):
                continue
            name = variable[len(PREFIX) :].lower()
            if name.startswith("test_"):
                continue
            if name not in known:
                raise StartError(
                    f"{variable} is not a setting{or_rather(variable, variables())}; apothecary settings lists them"
                )
            values[name] = convert(variable, text, hints[name], known[name])
        for name, value in overrides.items():
            if value is not None:
                option = f"--{name.replace('_', '-')}"
                values[name] = convert(option, value, hints[name], known[name]) if isinstance(value, str) else value
        return cls(**values)

    def environment(self) -> dict[str, str]:
        """This process's environment for a server with these settings, whatever `APOTHECARY_...` variables it has."""
        own = {variable: as_text(getattr(self, one.name)) for variable, one in variables().items()}
        return {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)} | own

    @property
    def authorized(self) -> bool:
        """Whether a request must say who sends it."""
        return self.authorization != "off"

    @property
    def root(self) -> str:
        """The public address of the base /fhir, without a slash at the end, whatever a request says of its host."""
        return self.base_url.rstrip("/") or f"{_listening(self.host, self.port)}/fhir"

    @property
    def token_endpoint(self) -> str:
        """Where clients get access tokens. Below the base: that is what a proxy in front of the server passes on."""
        return f"{self.root}/token"

    @property
    def token_endpoints(self) -> tuple[str, ...]:
        """The same under each of its names: on this machine, where no public address is set, it has several."""
        names = (self.host, "localhost", "127.0.0.1", "::1")
        others = () if self.base_url else (f"{_listening(name, self.port)}/fhir/token" for name in names)
        return tuple(dict.fromkeys((self.token_endpoint, *others)))

    @property
    def loopback(self) -> bool:
        """Whether the server listens on this machine only."""
        if self.host == "localhost":
            return True
        try:
            return _address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False  # a name may come to mean another address

    @property
    def writable(self) -> bool:
        """Whether REST writes are open: on loopback, or when the setting says so."""
        return self.why_read_only is None

    @property
    def why_read_only(self) -> str | None:
        """What stands against writes over REST, as a clause; None where nothing does."""
        if self.read_only:
            return f"the setting {PREFIX}READ_ONLY says so"
        if not self.loopback and not self.open_writes and not self.authorized:
            return f"{self.host} is not a loopback address and no authorization is configured"
        return None

    def served_types(self, available: tuple[str, ...]) -> tuple[str, ...]:
        """The resource types to serve out of those a FHIR version has, sorted."""
        if self.resource_types.strip() == "*":
            return tuple(sorted(available))
        # A record in the store is there to be read.
        recorded = {"AuditEvent"} if self.audit == "store" else set()
        if not self.resource_types.strip():
            return tuple(sorted((set(MEDICATION_FAMILY) | recorded) & set(available)))
        wanted = {name.strip() for name in self.resource_types.split(",") if name.strip()} | recorded
        for name in sorted(wanted.difference(available)):
            if not any(definitions(version).is_resource_type(name) for version in FhirVersion):
                known = (one for version in FhirVersion for one in definitions(version).resource_types())
                raise StartError(
                    f"{PREFIX}RESOURCE_TYPES: {name!r} is not a resource type of R4, R4B or R5{or_rather(name, known)}"
                )
        return tuple(sorted(wanted & set(available)))


def _listening(host: str, port: int) -> str:
    name = host.strip("[]")
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _is_address(text: str) -> bool:
    """Whether `text` can stand before the links of a server: https://hl7.org/fhir/R5/http.html#general"""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and _ADDRESS.fullmatch(text) is not None


# The characters of an address, without those that begin a query or a fragment (https://www.rfc-editor.org/rfc/rfc3986).
_ADDRESS = re.compile(r"[A-Za-z0-9\-._~:/\[\]@!$&'()*+,;=%]+")


def variables() -> dict[str, Field[Any]]:
    """The variable of each setting, with its field of `Settings`."""
    return {PREFIX + one.name.upper(): one for one in fields(Settings)}


def child_environment(**more: str) -> dict[str, str]:
    """The environment of this process, with more in it, for a program that it starts."""
    return {**os.environ, **more}


def no_colour() -> bool:
    """Whether the user wants no colours in terminals: https://no-color.org"""
    return bool(os.environ.get("NO_COLOR"))
