//! One figure as a line: what, how much, its target, and how far it is above a floor.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How often a thing is done to find its best time.
const ROUNDS: usize = 5;

/// Returns the best time of a few, and what was made last.
pub fn best<T>(mut act: impl FnMut() -> T) -> (Duration, T) {
    let mut time = || {
        let began = Instant::now();
        let made = black_box(act());
        (began.elapsed(), made)
    };
    let mut best = time();
    for _ in 1..ROUNDS {
        let next = time();
        best = (best.0.min(next.0), next.1);
    }
    best
}

/// Prints a time beside its target and its floor.
pub fn print_time(what: &str, time: Duration, target: Duration, floor: (&str, Duration)) {
    let (name, floor) = floor;
    let ratio = time.as_secs_f64() / floor.as_secs_f64();
    println!(
        "  {what:<44} {:>10}   target {:>8}   {ratio:.1} × {name} ({})",
        text(time),
        text(target),
        text(floor),
    );
}

/// Prints an amount beside its target.
pub fn print_amount(what: &str, amount: f64, unit: &str, target: f64) {
    println!("  {what:<44} {amount:>7.1} {unit:<4} target {target:>7} {unit}");
}

fn text(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        micros if micros < 1e3 => format!("{micros:.1} µs"),
        micros if micros < 1e6 => format!("{:.1} ms", micros / 1e3),
        micros => format!("{:.2} s", micros / 1e6),
    }
}
