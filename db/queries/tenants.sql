-- name: get
SELECT tenant_id, sedna_api_url, sedna_username, sedna_password_encrypted, sedna_operator_id,
       sedna_operator_code, sedna_authority_id, is_active, max_in_flight, requests_per_second,
       created_at, updated_at
FROM tenant_settings WHERE tenant_id = $1

-- name: all
SELECT tenant_id, sedna_api_url, sedna_username, sedna_password_encrypted, sedna_operator_id,
       sedna_operator_code, sedna_authority_id, is_active, max_in_flight, requests_per_second,
       created_at, updated_at
FROM tenant_settings ORDER BY tenant_id

-- name: put
INSERT INTO tenant_settings (
    tenant_id, sedna_api_url, sedna_username, sedna_password_encrypted, sedna_operator_id,
    sedna_operator_code, sedna_authority_id, is_active, max_in_flight, requests_per_second
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (tenant_id) DO UPDATE SET
    sedna_api_url = EXCLUDED.sedna_api_url,
    sedna_username = EXCLUDED.sedna_username,
    sedna_password_encrypted = EXCLUDED.sedna_password_encrypted,
    sedna_operator_id = EXCLUDED.sedna_operator_id,
    sedna_operator_code = EXCLUDED.sedna_operator_code,
    sedna_authority_id = EXCLUDED.sedna_authority_id,
    is_active = EXCLUDED.is_active,
    max_in_flight = EXCLUDED.max_in_flight,
    requests_per_second = EXCLUDED.requests_per_second,
    updated_at = now()

-- name: replace_password
-- Only if nobody changed it meanwhile.
UPDATE tenant_settings SET sedna_password_encrypted = $3, updated_at = now()
WHERE tenant_id = $1 AND sedna_password_encrypted = $2
RETURNING tenant_id

-- name: remove
DELETE FROM tenant_settings WHERE tenant_id = $1 RETURNING tenant_id

-- name: mappings
SELECT name_key, name, hotel_id FROM hotel_mappings WHERE tenant_id = $1 ORDER BY name_key
