"""The demo's agencies as tenants of the service: the settings that `tenant set` would store."""

from consumer.credentials import Keyring
from consumer.demo.world_tenants import DemoTenant
from db.records import TenantSettings

#: Requests at once of one tenant: few, as for a cautious agency.
_MAX_IN_FLIGHT = 4


def settings_of(tenant: DemoTenant, *, url: str, keys: Keyring) -> TenantSettings:
    """What is stored of an agency whose Sedna is at this URL."""
    account = tenant.account
    return TenantSettings(
        tenant_id=tenant.tenant_id,
        sedna_api_url=url,
        sedna_username=account.username,
        sedna_password_encrypted=keys.encrypt(account.password, tenant_id=tenant.tenant_id),
        sedna_operator_code=account.operator_code,
        sedna_authority_id=account.authority_id,
        max_in_flight=_MAX_IN_FLIGHT,
    )
