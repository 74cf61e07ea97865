-- A call of the gateway, as JSON: its API key, its time, its first model, the tokens of its prompt and their cost.
-- If the call is never recorded, the sweep records it in model_calls from this.
ALTER TABLE model_reservations ADD COLUMN call TEXT;
