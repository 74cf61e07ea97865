-- The gateway spends money, and keys that were made without a list of scopes
-- had its scope before it had a route: they would begin to spend the day it
-- gets one. So it goes out of every key; whoever wants it makes a new one.
UPDATE api_keys
SET scopes = (SELECT json_group_array(value) FROM json_each(api_keys.scopes) WHERE value <> 'gateway')
WHERE scopes LIKE '%"gateway"%';
