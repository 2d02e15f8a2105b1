//! sprig's functions on numbers.
//!
//! In: arguments of any type, read as sprig reads them. Out: numbers. Pure.

use super::{Called, Row, any_at, int_at, list, text, text_at};
use crate::exec::Memory;
use crate::value::{Value, Whole};

pub(super) const FUNCTIONS: &[Row] = &[
    ("add", "a*", |_, a| {
        whole_of(a.iter().fold(0, |sum: i64, v| sum.wrapping_add(whole(v))))
    }),
    ("add1", "a", |_, a| {
        whole_of(whole(any_at(a, 0)).wrapping_add(1))
    }),
    ("sub", "aa", |_, a| {
        whole_of(whole(any_at(a, 0)).wrapping_sub(whole(any_at(a, 1))))
    }),
    ("mul", "aa*", |_, a| {
        whole_of(
            a.iter()
                .fold(1, |product: i64, v| product.wrapping_mul(whole(v))),
        )
    }),
    ("div", "aa", |_, a| {
        let quotient = whole(any_at(a, 0)).checked_div(whole(any_at(a, 1)));
        whole_of(quotient.ok_or("runtime error: integer divide by zero")?)
    }),
    ("mod", "aa", |_, a| {
        let rest = whole(any_at(a, 0)).checked_rem(whole(any_at(a, 1)));
        whole_of(rest.ok_or("runtime error: integer divide by zero")?)
    }),
    ("max", "aa*", |_, a| {
        whole_of(a.iter().map(whole).max().unwrap_or(0))
    }),
    ("biggest", "aa*", |_, a| {
        whole_of(a.iter().map(whole).max().unwrap_or(0))
    }),
    ("min", "aa*", |_, a| {
        whole_of(a.iter().map(whole).min().unwrap_or(0))
    }),
    ("addf", "a*", |_, a| {
        Ok(Value::Float(a.iter().map(float).sum()))
    }),
    ("add1f", "a", |_, a| {
        Ok(Value::Float(float(any_at(a, 0)) + 1.0))
    }),
    ("subf", "aa*", |_, a| folded(a, |x, y| x - y)),
    ("mulf", "aa*", |_, a| folded(a, |x, y| x * y)),
    ("divf", "aa*", |_, a| folded(a, |x, y| x / y)),
    ("maxf", "aa*", |_, a| folded(a, f64::max)),
    ("minf", "aa*", |_, a| folded(a, f64::min)),
    ("floor", "a", |_, a| {
        Ok(Value::Float(float(any_at(a, 0)).floor()))
    }),
    ("ceil", "a", |_, a| {
        Ok(Value::Float(float(any_at(a, 0)).ceil()))
    }),
    ("round", "aif*", round),
    ("int", "a", |_, a| Ok(Value::int(whole(any_at(a, 0))))),
    ("int64", "a", |_, a| whole_of(whole(any_at(a, 0)))),
    ("float64", "a", |_, a| Ok(Value::Float(float(any_at(a, 0))))),
    ("atoi", "s", |_, a| {
        Ok(Value::int(text_at(a, 0).parse().unwrap_or(0)))
    }),
    ("toDecimal", "a", |m, a| {
        let shown = super::string_of(m, any_at(a, 0))?;
        whole_of(i64::from_str_radix(&shown, 8).unwrap_or(0))
    }),
    ("until", "i", |m, a| {
        let n = int_at(a, 0);
        steps(m, 0, n, if n < 0 { -1 } else { 1 })
    }),
    ("untilStep", "iii", |m, a| {
        steps(m, int_at(a, 0), int_at(a, 1), int_at(a, 2))
    }),
    ("seq", "i*", seq),
];

fn whole_of(value: i64) -> Called {
    Ok(Value::Int(value, Whole::Int64))
}

/// Reads a value as a whole number; what is none is zero.
pub(super) fn whole(value: &Value) -> i64 {
    match value {
        Value::Int(value, _) => *value,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "Go cuts the fraction off too"
        )]
        Value::Float(value) => *value as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => {
            let text = match text.split_once('.') {
                Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
                _ => text,
            };
            let number = crate::number::Number::parse(text).ok();
            number
                .filter(|n| !n.is_float)
                .and_then(|n| n.int)
                .unwrap_or(0)
        }
        _ => 0,
    }
}

/// Reads a value as a float; what is none is zero.
pub(super) fn float(value: &Value) -> f64 {
    match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "Go rounds to the nearest float too"
        )]
        Value::Int(value, _) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) => text.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}

fn folded(a: &[Value], join: fn(f64, f64) -> f64) -> Called {
    let joined = a.iter().map(float).reduce(join);
    Ok(Value::Float(joined.unwrap_or(0.0)))
}

fn round(_: &mut Memory, a: &[Value]) -> Called {
    let value = float(any_at(a, 0));
    let half = match any_at(a, 2) {
        Value::Float(half) => *half,
        _ => 0.5,
    };
    let places = i32::try_from(int_at(a, 1)).unwrap_or(0);
    let power = 10_f64.powi(places);
    let digit = power * value;
    let fraction = digit.fract();
    let rounded = match fraction >= half {
        true => digit.ceil(),
        false => digit.floor(),
    };
    Ok(Value::Float(rounded / power))
}

fn numbers(memory: &mut Memory, from: i64, to: i64, step: i64) -> Result<Vec<i64>, super::Fault> {
    if step == 0 || (step > 0 && from >= to) || (step < 0 && from <= to) {
        return Ok(Vec::new());
    }
    let n = from.abs_diff(to).div_ceil(step.unsigned_abs());
    memory.charge(usize::try_from(n).unwrap_or(usize::MAX))?;
    let mut numbers = Vec::new();
    let mut next = from;
    while (step > 0 && next < to) || (step < 0 && next > to) {
        numbers.push(next);
        next = next.saturating_add(step);
    }
    Ok(numbers)
}

fn steps(memory: &mut Memory, from: i64, to: i64, step: i64) -> Called {
    let numbers = numbers(memory, from, to, step)?;
    let numbers = numbers.into_iter().map(Value::int).collect();
    match list(memory, numbers)? {
        Value::List(list) => Ok(Value::list("[]int", list.items.to_vec())),
        other => Ok(other),
    }
}

/// Prints numbers as the command `seq` does, in one line.
fn seq(memory: &mut Memory, a: &[Value]) -> Called {
    let (from, step, to) = match a.len() {
        1 => (1, if int_at(a, 0) < 1 { -1 } else { 1 }, int_at(a, 0)),
        2 => {
            let (from, to) = (int_at(a, 0), int_at(a, 1));
            (from, if to < from { -1 } else { 1 }, to)
        }
        3 => (int_at(a, 0), int_at(a, 1), int_at(a, 2)),
        _ => return Ok(Value::text("")),
    };
    let beyond = to.saturating_add(step.signum());
    let numbers = numbers(memory, from, beyond, step)?;
    let shown: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    text(memory, &shown.join(" "))
}
