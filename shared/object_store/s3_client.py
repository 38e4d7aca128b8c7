"""The minio client as the S3 store needs it: path style, bounded waiting, credentials that say what is wrong."""

from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider, Provider, StaticProvider
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from shared.object_store.errors import InvalidObjectStoreSettings, ObjectStoreDenied
from shared.object_store.settings import S3Settings
from shared.tls import usual_authorities

_CONNECTIONS = 16  # kept open; more threads than that get connections of their own
_BACKOFF = 0.2  # seconds, doubling
_USUAL_REGION = "us-east-1"  # what servers that know no regions take
_BUSY = (500, 502, 503, 504)


def build_client(settings: S3Settings, provider: Provider) -> tuple[Minio, PoolManager]:
    """A client for transfers, and its connections, which the caller clears. Connects to nobody."""
    timeout = Timeout(connect=settings.connect_timeout, read=settings.read_timeout)
    retry = Retry(total=settings.retries, backoff_factor=_BACKOFF, backoff_jitter=_BACKOFF, status_forcelist=_BUSY)
    return _build(settings, provider, timeout, retry)


def build_probe(settings: S3Settings, provider: Provider) -> tuple[Minio, PoolManager]:
    """A client for readiness checks: one attempt, and an answer within seconds."""
    timeout = Timeout(connect=min(2.0, settings.connect_timeout), read=min(3.0, settings.read_timeout))
    return _build(settings, provider, timeout, Retry(total=0))


def build_signer(settings: S3Settings, provider: Provider) -> Minio:
    """A client that signs for the address that clients see, and connects to nobody, not even to ask for the region."""
    endpoint = parse_url(settings.external_endpoint_url or settings.endpoint_url)
    region = settings.region or _USUAL_REGION
    try:
        client = Minio(str(endpoint.netloc), secure=endpoint.scheme == "https", region=region, credentials=provider)
    except ValueError as error:
        raise InvalidObjectStoreSettings("AWS_S3_EXTERNAL_ENDPOINT_URL", str(error)) from error
    client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return client


def build_provider(settings: S3Settings) -> Provider:
    """The keys of the settings, or, without any, the role of the container or machine (AWS: IRSA, ECS, EC2)."""
    if settings.access_key_id and settings.secret_access_key:
        return StaticProvider(settings.access_key_id, settings.secret_access_key, settings.session_token)
    return _RoleProvider(settings)


class _RoleProvider(Provider):
    def __init__(self, settings: S3Settings) -> None:
        timeout = Timeout(connect=settings.connect_timeout, read=settings.connect_timeout)
        pool = PoolManager(timeout=timeout, retries=Retry(total=1), ca_certs=usual_authorities())
        self._provider = IamAwsProvider(http_client=pool, region=settings.region)

    def retrieve(self) -> Credentials:
        try:
            return self._provider.retrieve()
        except (HTTPError, OSError, ValueError, KeyError) as error:
            raise ObjectStoreDenied(
                "There are no credentials for S3: set OASIS_AWS_ACCESS_KEY_ID and OASIS_AWS_SECRET_ACCESS_KEY, "
                f"or give this container or machine a role ({error})."
            ) from error


def _build(settings: S3Settings, provider: Provider, timeout: Timeout, retry: Retry) -> tuple[Minio, PoolManager]:
    pool = PoolManager(
        maxsize=_CONNECTIONS,
        timeout=timeout,
        retries=retry,
        cert_reqs="CERT_REQUIRED" if settings.verify_certificates else "CERT_NONE",
        ca_certs=settings.authorities or usual_authorities(),
    )
    endpoint = parse_url(settings.endpoint_url)
    try:
        client = Minio(
            str(endpoint.netloc),
            secure=endpoint.scheme == "https",
            region=settings.region,
            http_client=pool,
            credentials=provider,
        )
    except ValueError as error:
        raise InvalidObjectStoreSettings("AWS_S3_ENDPOINT_URL or AWS_S3_REGION_NAME", str(error)) from error
    client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return client, pool
