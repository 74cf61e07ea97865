-- A call of the gateway that a killed Worker never booked costs what its prompt costs. The sweep makes its row of
-- model_calls from this: JSON of the API key, the time, the model, the tokens of the prompt and their cost.
ALTER TABLE model_reservations ADD COLUMN call TEXT;
