//! Finds the histogram bucket of a call. The table `model_metrics` keeps the
//! counts in the order of these bounds, and `GET /metrics` reports them.

/// Upper bounds of times, in milliseconds. One more bucket takes longer times.
const TIMES_MS: [i64; 9] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000];
/// The same bounds in seconds, as Prometheus labels them: a list in JSON.
pub(crate) const SECONDS: &str = r#"["0.05","0.1","0.25","0.5","1","2.5","5","15","60","+Inf"]"#;
/// Upper bounds of the number of requests to providers for one call.
const ATTEMPTS: [i64; 4] = [1, 2, 3, 6];
pub(crate) const ATTEMPTS_LE: &str = r#"["1","2","3","6","+Inf"]"#;

/// The JSON path of a time's bucket in the list of counts.
pub(crate) fn of_time(ms: i64) -> String {
    path(&TIMES_MS, ms)
}

/// The JSON path of the bucket for a number of attempts.
pub(crate) fn of_attempts(attempts: u32) -> String {
    path(&ATTEMPTS, i64::from(attempts))
}

fn path(bounds: &[i64], value: i64) -> String {
    format!("$[{}]", bounds.iter().take_while(|bound| value > **bound).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_each_bucket_has_a_label() {
        assert_eq!([of_time(0), of_time(50), of_time(51), of_time(60_001)], ["$[0]", "$[0]", "$[1]", "$[9]"]);
        assert_eq!(
            [of_attempts(0), of_attempts(1), of_attempts(4), of_attempts(7)],
            ["$[0]", "$[0]", "$[3]", "$[4]"]
        );
        let labels = |list: &str| hatch_json::from_str::<Vec<String>>(list).unwrap().len();
        assert_eq!([labels(SECONDS), labels(ATTEMPTS_LE)], [TIMES_MS.len() + 1, ATTEMPTS.len() + 1]);
    }
}
