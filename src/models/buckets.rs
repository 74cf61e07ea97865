//! Into which bucket of a histogram a call falls. The counts are kept in the
//! table `model_metrics`, in the order of these bounds, and told by
//! `GET /metrics`.

/// Upper bounds of times, in milliseconds; what is longer falls behind them.
const TIMES_MS: [i64; 9] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000];
/// The same as Prometheus reads them, in seconds: a list in JSON.
pub(crate) const SECONDS: &str = r#"["0.05","0.1","0.25","0.5","1","2.5","5","15","60","+Inf"]"#;
/// Upper bounds of the requests to providers for one call.
const ATTEMPTS: [i64; 4] = [1, 2, 3, 6];
pub(crate) const ATTEMPTS_LE: &str = r#"["1","2","3","6","+Inf"]"#;

/// The path of a time's bucket in the list of counts.
pub(crate) fn of_time(ms: i64) -> String {
    path(&TIMES_MS, ms)
}

/// The path of the bucket of so many attempts.
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
        let labels = |list: &str| serde_json::from_str::<Vec<String>>(list).unwrap().len();
        assert_eq!([labels(SECONDS), labels(ATTEMPTS_LE)], [TIMES_MS.len() + 1, ATTEMPTS.len() + 1]);
    }
}
