//! Logarithm, exponential and powers in fixed point of any precision.
//!
//! Postgres computes these with some eight more digits than it shows. Here they have many more, and a result is only given if it
//! is so far from the middle between two shown values that Postgres must have rounded it to the same side ([`round`]).

use num_bigint::{BigInt, Sign};
use std::sync::LazyLock;

/// Digits of the constants; no computation here asks for more.
const CONSTANT_DIGITS: u32 = 400;

static LN2: LazyLock<BigInt> = LazyLock::new(|| {
    let one = ten(CONSTANT_DIGITS + 10);
    // 2 artanh(1/3)
    artanh(&(&one / 3), &one) * 2 / ten(10)
});

pub(super) fn ten(n: u32) -> BigInt {
    BigInt::from(10).pow(n)
}

/// ln 2 with `w` digits.
fn ln2(w: u32) -> BigInt {
    &*LN2 / ten(CONSTANT_DIGITS - w.min(CONSTANT_DIGITS))
}

fn artanh(z: &BigInt, one: &BigInt) -> BigInt {
    let square = z * z / one;
    let (mut power, mut sum) = (z.clone(), z.clone());
    for k in (3_u32..).step_by(2) {
        power = power * &square / one;
        let term = &power / k;
        if term.sign() == Sign::NoSign {
            break;
        }
        sum += term;
    }
    sum
}

/// ln(v / 10^s) with `w` digits after the point, the last few of them not to be trusted. `None` for too many digits.
pub(super) fn ln(v: &BigInt, s: i32, w: u32) -> Option<BigInt> {
    // Enough digits for the smallest argument.
    let w2 = w + 20 + s.max(0).unsigned_abs();
    if w2 > CONSTANT_DIGITS || v.sign() != Sign::Plus {
        return None;
    }
    let one = ten(w2);
    let x = v * ten(w2 - s.max(0).unsigned_abs());
    // x = m * 2^k with m near 1.
    let k = x.bits() as i64 - one.bits() as i64;
    let m = if k >= 0 { x >> k } else { x << -k };
    let z = (&m - &one) * &one / (&m + &one);
    let result = artanh(&z, &one) * 2 + ln2(w2) * k;
    Some(result / ten(w2 - w))
}

/// e^(x / 10^w) with `w` digits after the point, the last few not to be trusted. `None` for too large a result.
pub(super) fn exp(x: &BigInt, w: u32) -> Option<BigInt> {
    const HALVINGS: u32 = 16;
    // The digits before the point of the result; half as many in the exponent would already be too many for us.
    let whole: i64 = (x / ten(w)).try_into().ok()?;
    if whole > 200 {
        return None;
    }
    let w2 = w + 30 + whole.max(0) as u32;
    if w2 > CONSTANT_DIGITS {
        return None;
    }
    let one = ten(w2);
    let x = x * ten(w2 - w);
    let ln2 = ln2(w2);
    let n: i64 = (&x / &ln2).try_into().ok()?;
    let r = (x - &ln2 * n) >> HALVINGS;
    let (mut term, mut sum) = (one.clone(), one.clone());
    for k in 1_u32.. {
        term = term * &r / &one / k;
        if term.sign() == Sign::NoSign {
            break;
        }
        sum += &term;
    }
    for _ in 0..HALVINGS {
        sum = &sum * &sum / &one;
    }
    let sum = if n >= 0 { sum << n } else { sum >> -n };
    Some(sum / ten(w2 - w))
}

/// The value with `w` digits rounded to `scale` digits; `None` if it is too near to the middle between two to be sure.
pub(super) fn round(v: &BigInt, w: u32, scale: u32) -> Option<BigInt> {
    let unit = ten(w.checked_sub(scale)?);
    let magnitude = BigInt::from(v.magnitude().clone());
    let (q, r) = (&magnitude / &unit, &magnitude % &unit);
    let from_middle: BigInt = &r * 2 - &unit;
    if BigInt::from(from_middle.magnitude().clone()) * 10_000 < unit {
        return None;
    }
    let q = if from_middle.sign() == Sign::Plus { q + 1 } else { q };
    Some(if v.sign() == Sign::Minus { -q } else { q })
}
