//! Runs beats, sweeps and crashes in thousands of random orders against the real
//! SQL in a real SQLite, and checks that uptime is neither lost nor invented.
//!
//! Anything that can happen between two transactions happens here: requests
//! arrive late, with an old reading of the clock, in any order; responses are
//! lost, so that requests are repeated; a process dies with all of its pending
//! requests, or within a batch, which is then rolled back. Only people read KV,
//! so the simulation checks only how far behind it may be.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter, types::Value as Bound};

use super::{
    store,
    window::{AHEAD_MS, Beat, GAP_MS, KEPT_MS, LATE_MS, LastBeat, SETTLED_MS, Window, beat},
};
use crate::{
    platform::clock::{HOUR_MS, MINUTE_MS},
    store::{Statement, Value},
};

const SCHEDULES: u64 = 3_000;
const STEPS: u64 = 80;
const BEGIN_MS: i64 = 1_700_000_000_000;
/// The longest that a request is pending when a period is closed.
const MOST_PENDING_MS: i64 = 29 * MINUTE_MS;

const MIGRATIONS: [&str; 6] = [
    include_str!("../../migrations/0001_hatch.sql"),
    include_str!("../../migrations/0002_accounts.sql"),
    include_str!("../../migrations/0003_fleet.sql"),
    include_str!("../../migrations/0007_fleet_lists.sql"),
    include_str!("../../migrations/0011_tassium.sql"),
    include_str!("../../migrations/0017_beats_by_our_clock.sql"),
];

#[test]
fn recorded_uptime_always_equals_that_of_the_beats() {
    let database = Connection::open_in_memory().unwrap();
    for migration in MIGRATIONS {
        database.execute_batch(migration).unwrap();
    }
    for seed in 0..SCHEDULES {
        Simulation::begin(seed, &database).run();
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n - 1`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// From `least` to `most`.
    fn between(&mut self, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.below((most - least + 1).unsigned_abs())).unwrap()
    }
}

/// A request that has not reached the database yet.
#[derive(Debug, Clone)]
enum Pending {
    Beat {
        wallet: String,
        at: i64,
        /// The reported containers; none for a ping.
        containers: Option<String>,
        /// Our clock when the beat was validated.
        begun: i64,
    },
    /// One step of a sweep, with the time that it read before.
    Sweep { silent: i64 },
}

/// The expected uptime of a machine, by [`beat`] over the beats in the order in
/// which the database got them.
#[derive(Debug, Default)]
struct Reference {
    last: Option<LastBeat>,
    closed: Vec<Window>,
    /// Our clock at the first beat, since when the machine is known.
    known_at: Option<i64>,
    /// Our clock at the last beat that was a sign of life.
    seen_at: Option<i64>,
    /// When the machine last reported its containers, and which; `hours` has the
    /// last report of each hour of the day that is over.
    report: Option<(i64, String)>,
    hours: BTreeMap<i64, (i64, i64)>,
}

impl Reference {
    /// Takes a beat and returns the window; none when the beat is stale.
    fn take(&mut self, at: i64, containers: Option<&str>, now: i64) -> Option<Window> {
        let reported_at = self.report.as_ref().map(|(at, _)| *at);
        self.known_at.get_or_insert(now);
        let is_life = match beat(self.last, reported_at, at, now, containers.is_some()) {
            Beat::Stale => return None,
            Beat::Reports => false,
            Beat::Extends(window) => {
                self.last = Some(LastBeat { window, stamped_at: at });
                true
            }
            Beat::Begins { closed, opened } => {
                self.closed.push(closed);
                self.last = Some(LastBeat { window: opened, stamped_at: at });
                true
            }
        };
        if is_life {
            self.seen_at = Some(now);
        }
        if let Some(containers) = containers {
            self.say(at, containers);
        }
        self.open()
    }

    fn open(&self) -> Option<Window> {
        self.last.map(|last| last.window)
    }

    fn say(&mut self, at: i64, containers: &str) {
        let before = self.report.replace((at, containers.to_owned()));
        let Some((reported_at, report)) =
            before.filter(|(reported_at, _)| reported_at / HOUR_MS != at / HOUR_MS)
        else {
            return;
        };
        let count = i64::try_from(report.matches("containerName").count()).unwrap();
        self.hours.insert(reported_at / HOUR_MS % 24, (reported_at, count));
        self.hours.retain(|_, (reported_at, _)| *reported_at > at - 24 * HOUR_MS);
    }

    fn windows(&self) -> Vec<Window> {
        self.closed.iter().copied().chain(self.open()).collect()
    }
}

struct Simulation<'a> {
    seed: u64,
    random: Random,
    database: &'a Connection,
    /// D1 binds numbers as REAL, Turso as INTEGER.
    binds_reals: bool,
    now: i64,
    /// How many machines one step of a sweep checks.
    piece: i64,
    mirror_ms: i64,
    machines: BTreeMap<String, Reference>,
    pending: Vec<Pending>,
    /// The window of each machine in KV, and our clock when it was written.
    mirrored: BTreeMap<String, (Window, i64)>,
    /// The payments for all uptime until an end: wallet, end, seconds.
    paid: Vec<(String, i64, String)>,
}

impl<'a> Simulation<'a> {
    fn begin(seed: u64, database: &'a Connection) -> Self {
        database
            .execute_batch(
                "DELETE FROM worker_windows; DELETE FROM worker_uptime_records; DELETE FROM workers;
                 DELETE FROM worker_metrics;
                 UPDATE fleet_sweep SET after_wallet = '';",
            )
            .unwrap();
        let mut random = Random(seed);
        let wallet = |n| if n % 2 == 0 { format!("0x{n:040x}") } else { format!("G{n:055}") };
        let machines = (0..=random.below(6)).map(|n| (wallet(n), Reference::default())).collect();
        let (binds_reals, piece) = (random.one_in(2), random.between(1, 3));
        let mirror_ms = if random.one_in(2) { 0 } else { 15 * MINUTE_MS };
        Self {
            seed,
            random,
            database,
            binds_reals,
            now: BEGIN_MS,
            piece,
            mirror_ms,
            machines,
            pending: Vec::new(),
            mirrored: BTreeMap::new(),
            paid: Vec::new(),
        }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            match self.random.below(20) {
                0..5 => self.send_beat(),
                5..7 => self.pending.push(Pending::Sweep { silent: self.now - GAP_MS }),
                7..15 => self.arrive(),
                15..18 => self.now += self.random.between(0, 12 * MINUTE_MS),
                18 if self.random.one_in(4) => self.now += self.random.between(0, 30 * HOUR_MS),
                18 => self.now += self.random.between(GAP_MS - 2, GAP_MS + 2),
                // The process dies and starts again.
                _ => self.pending.clear(),
            }
            if self.random.one_in(8) {
                self.check_totals();
                self.pay();
            }
        }
        self.check_reports();
        self.sweep_all();
        self.check_records();
        self.check_totals();
        self.check_paid();
        self.check_forgotten();
    }

    fn send_beat(&mut self) {
        let which = usize::try_from(self.random.below(self.machines.len() as u64)).unwrap();
        let (wallet, reference) = self.machines.iter().nth(which).unwrap();
        let end = reference.open().map_or(self.now, |open| open.end);
        let at = match self.random.below(9) {
            0..4 => self.now,
            4 => self.now + self.random.between(0, AHEAD_MS),
            5 => self.now - self.random.between(0, 2 * GAP_MS),
            6 => end + self.random.between(-1, 1),
            7 => self.now - LATE_MS + self.random.between(-1, HOUR_MS),
            _ => end + GAP_MS + self.random.between(-1, 1),
        };
        let (wallet, at) = (wallet.clone(), at.min(self.now + AHEAD_MS));
        // The original script sometimes sends a ping and a full beat with the same
        // time.
        let kinds = self.random.between(1, 3);
        if kinds & 1 != 0 {
            self.begin_beat(wallet.clone(), at, None);
        }
        if kinds & 2 != 0 {
            let containers: Vec<_> = (0..self.random.below(3))
                .map(|_| format!(r#"{{"containerName":"{}"}}"#, self.random.next()))
                .collect();
            self.begin_beat(wallet, at, Some(format!("[{}]", containers.join(","))));
        }
    }

    /// As `heartbeat::take` does: a beat that is too late is refused.
    fn begin_beat(&mut self, wallet: String, at: i64, containers: Option<String>) {
        if at >= self.now - LATE_MS {
            self.pending.push(Pending::Beat { wallet, at, containers, begun: self.now });
        }
    }

    /// A pending request, chosen at random, reaches the database.
    fn arrive(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let which = usize::try_from(self.random.below(self.pending.len() as u64)).unwrap();
        let request = self.pending.swap_remove(which);
        let answer_is_lost = self.random.one_in(5);
        match request {
            Pending::Beat { wallet, at, containers, .. } => {
                self.take_beat(&wallet, at, containers.as_deref());
                if answer_is_lost {
                    self.begin_beat(wallet, at, containers);
                }
            }
            Pending::Sweep { silent } => {
                if answer_is_lost {
                    self.pending.push(Pending::Sweep { silent });
                }
                let dies_after = self.random.one_in(4).then(|| self.random.below(4));
                let after = self.sweep_piece(silent, dies_after);
                let goes_on = after.is_some_and(|after| !after.is_empty());
                if goes_on && !answer_is_lost {
                    self.pending.push(Pending::Sweep { silent: self.now - GAP_MS });
                }
            }
        }
    }

    fn take_beat(&mut self, wallet: &str, at: i64, containers: Option<&str>) {
        let beat =
            store::beats::Beat { wallet, at, containers, system: None, hostname: None, tailscale_ip: None };
        let rows = self.query(&store::beats::beat(&beat, self.now, self.mirror_ms));
        let open: Option<store::beats::OpenWindow> =
            rows.first().map(|json| hatch_json::from_str(json).unwrap());
        let message = open.as_ref().map(Window::from);
        let expected = self.machines.get_mut(wallet).unwrap().take(at, containers, self.now);
        assert_eq!(message, expected, "seed {}: a beat of {wallet} at {at}", self.seed);
        if let Some(open) = open {
            self.mirror(wallet, &open);
        }
    }

    /// Checks that KV has the present window, as it was less than `mirror_ms` before
    /// the last sign of life.
    fn mirror(&mut self, wallet: &str, open: &store::beats::OpenWindow) {
        let window = Window::from(open);
        if open.mirrors_time {
            self.mirrored.insert(wallet.to_owned(), (window, self.now));
        }
        let (mirrored, at) = self.mirrored[wallet];
        let seen_at = self.machines[wallet].seen_at.unwrap();
        let is_fresh =
            mirrored == window || (mirrored.start == window.start && seen_at - at < self.mirror_ms);
        assert!(is_fresh, "seed {}: KV has {mirrored:?} of {at} for {window:?}", self.seed);
    }

    /// Pays every machine for all time that can be closed.
    fn pay(&mut self) {
        let (now, to) = (self.now, self.now - SETTLED_MS);
        self.pending.retain(|request| match request {
            Pending::Beat { begun, .. } => now - begun <= MOST_PENDING_MS,
            Pending::Sweep { .. } => true,
        });
        for wallet in self.machines.keys() {
            let [seconds] = self.query(&store::uptime::paid_seconds(wallet, 0, to)).try_into().unwrap();
            self.paid.push((wallet.clone(), to, seconds));
        }
    }

    /// Checks that no later beat changed the uptime that was paid, and that all of it was paid.
    fn check_paid(&self) {
        for (wallet, to, seconds) in &self.paid {
            let reference = &self.machines[wallet];
            let known_at = reference.known_at.unwrap_or(*to);
            let paid = |window: &Window| (window.end.min(*to) - window.start.max(known_at)).max(0);
            let ms: i64 = reference.windows().iter().map(paid).sum();
            assert!(ms <= (to - known_at).max(0), "seed {}: {wallet} is paid for more than time", self.seed);
            assert_eq!(*seconds, (ms / 1000).to_string(), "seed {}: paid {wallet} until {to}", self.seed);
        }
    }

    /// One transaction. Returns the place where the sweep continues; none when the
    /// process died after so many statements.
    fn sweep_piece(&self, silent: i64, dies_after: Option<u64>) -> Option<String> {
        self.database.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut place = None;
        let forgotten = self.now - KEPT_MS;
        for (done, statement) in store::beats::sweep(self.piece, silent, forgotten).iter().enumerate() {
            if dies_after == Some(done as u64) {
                self.database.execute_batch("ROLLBACK").unwrap();
                return None;
            }
            place = self.query(statement).into_iter().next();
        }
        self.database.execute_batch("COMMIT").unwrap();
        hatch_json::from_str::<super::SweepPosition>(&place?).ok().map(|place| place.after)
    }

    /// All machines fall silent, and sweeps run over all of them, the first from where the last one stopped.
    fn sweep_all(&mut self) {
        self.now += 2 * GAP_MS;
        for _ in 0..2 {
            while self.sweep_piece(self.now - GAP_MS, None).is_some_and(|after| !after.is_empty()) {}
        }
    }

    /// Checks the stored last report of each machine and when it was last seen, and
    /// the last report of each hour that is over.
    fn check_reports(&self) {
        for (wallet, reference) in &self.machines {
            let sql =
                "SELECT json_array(seen_at, said_at, json(containers)) FROM worker_windows WHERE wallet = ?1";
            let kept = self.rows(sql, wallet);
            let (reported_at, containers) =
                reference.report.as_ref().map_or((None, "[]"), |(at, report)| (Some(*at), report));
            let containers: serde_json::Value = hatch_json::from_str(containers).unwrap();
            let report = reference
                .seen_at
                .map(|seen_at| serde_json::json!([seen_at, reported_at, containers]).to_string());
            assert_eq!(kept, Vec::from_iter(report), "seed {}: the report of {wallet}", self.seed);
            // Only of the last day; older ones may be deleted already.
            let since = self.now - KEPT_MS;
            let sql = format!(
                "SELECT json_array(hour, said_at, containers) FROM worker_metrics
                 WHERE wallet = ?1 AND said_at > {since} ORDER BY hour"
            );
            let hours: Vec<_> = reference
                .hours
                .iter()
                .filter(|(_, (reported_at, _))| *reported_at > since)
                .map(|(hour, (reported_at, count))| format!("[{hour},{reported_at},{count}]"))
                .collect();
            assert_eq!(self.rows(&sql, wallet), hours, "seed {}: the hours of {wallet}", self.seed);
        }
    }

    /// Checks that no reports are kept of machines that were silent for a day.
    fn check_forgotten(&mut self) {
        self.now += KEPT_MS;
        self.sweep_all();
        let rows = self.rows("SELECT wallet FROM worker_metrics WHERE wallet IS NOT ?1", "");
        assert_eq!(rows, Vec::<String>::new(), "seed {}: the reports that are kept for ever", self.seed);
    }

    fn rows(&self, sql: &str, wallet: &str) -> Vec<String> {
        let mut statement = self.database.prepare_cached(sql).unwrap();
        statement.query_map([wallet], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn check_records(&self) {
        for (wallet, reference) in &self.machines {
            let records = self.records(wallet);
            assert_eq!(records, reference.windows(), "seed {}: the records of {wallet}", self.seed);
            for pair in records.windows(2) {
                assert!(pair[0].end < pair[1].start, "seed {}: records of {wallet} overlap", self.seed);
            }
        }
    }

    /// Checks that the total equals the reference's at any moment, before or after a sweep.
    fn check_totals(&self) {
        for (wallet, reference) in &self.machines {
            let windows = reference.windows();
            let ms: i64 = windows.iter().map(|window| window.end - window.start).sum();
            let message = self.query(&store::uptime::uptime_seconds(wallet, 0, 1 << 47));
            assert_eq!(message, [(ms / 1000).to_string()], "seed {}: the total of {wallet}", self.seed);
            let wall_ms = windows.last().map_or(0, |last| last.end - windows[0].start);
            assert!(ms <= wall_ms, "seed {}: {wallet} ran longer than time", self.seed);
            let is_time = |window: &Window| window.start <= window.end && window.end <= self.now;
            assert!(windows.iter().all(is_time), "seed {}: {wallet} runs in the future", self.seed);
        }
    }

    fn records(&self, wallet: &str) -> Vec<Window> {
        let sql = "SELECT time_from, time_to FROM worker_uptime_records WHERE wallet = ?1 ORDER BY time_from";
        let mut statement = self.database.prepare_cached(sql).unwrap();
        let rows = statement.query_map([wallet], |row| Ok(Window { start: row.get(0)?, end: row.get(1)? }));
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn query(&self, statement: &Statement) -> Vec<String> {
        let bound = statement.values.iter().map(|value| match value {
            Value::Null => Bound::Null,
            #[expect(clippy::cast_precision_loss, reason = "as D1 binds it")]
            Value::Integer(number) if self.binds_reals => Bound::Real(*number as f64),
            Value::Integer(number) => Bound::Integer(*number),
            Value::Text(text) => Bound::Text(text.clone()),
        });
        let mut prepared = self.database.prepare_cached(statement.sql).unwrap();
        let mut rows = prepared.query(params_from_iter(bound)).unwrap();
        let mut answer = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            answer.push(row.get(0).unwrap());
        }
        answer
    }
}
