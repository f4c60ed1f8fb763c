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

-- name: count
SELECT count(*) FROM tenant_settings

-- name: passwords
-- A page of all tenants' ciphertexts.
SELECT tenant_id, sedna_password_encrypted FROM tenant_settings
WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2

-- name: replace_passwords
-- Each only if nobody changed it meanwhile.
UPDATE tenant_settings SET sedna_password_encrypted = given.new, updated_at = now()
FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS given (tenant_id, old, new)
WHERE tenant_settings.tenant_id = given.tenant_id
  AND tenant_settings.sedna_password_encrypted = given.old
RETURNING tenant_settings.tenant_id

-- name: remove
DELETE FROM tenant_settings WHERE tenant_id = $1 RETURNING tenant_id

-- name: mappings
SELECT name_key, name, hotel_id FROM hotel_mappings WHERE tenant_id = $1 ORDER BY name_key

-- name: mappings_page
SELECT name_key, name, hotel_id, created_at FROM hotel_mappings
WHERE tenant_id = $1 AND name_key > $2 ORDER BY name_key LIMIT $3

-- name: put_mapping
-- Answers with what stood there before.
WITH before AS (
    SELECT name_key, name, hotel_id, created_at FROM hotel_mappings WHERE tenant_id = $1 AND name_key = $2
), put AS (
    INSERT INTO hotel_mappings (tenant_id, name_key, name, hotel_id) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant_id, name_key) DO UPDATE SET
        name = EXCLUDED.name, hotel_id = EXCLUDED.hotel_id, created_at = now()
)
SELECT name_key, name, hotel_id, created_at FROM before

-- name: remove_mapping
DELETE FROM hotel_mappings WHERE tenant_id = $1 AND name_key = $2
RETURNING name_key, name, hotel_id, created_at
