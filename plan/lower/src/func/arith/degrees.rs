//! Trigonometry in degrees, exact at the angles where it can be, and the hyperbolic inverses of the C library.
//!
//! Source: `float.c` of release 15. The C library is the server's own: Rust's standard library computes the inverses by itself, and
//! rounds differently. Cube roots are not shipped: Rust links a function of its own under the C library's name.

use super::float::Failure;

mod c {
    #[allow(unsafe_code)]
    // SAFETY: functions of the C library (math.h) of one double, without any precondition.
    unsafe extern "C" {
        pub safe fn asinh(x: f64) -> f64;
        pub safe fn acosh(x: f64) -> f64;
        pub safe fn atanh(x: f64) -> f64;
    }
}

type Answer = Result<f64, Failure>;
type Function = fn(f64) -> Answer;

/// The function of one float8 and its name.
pub(super) fn function(func: u32) -> Option<(Function, &'static str)> {
    Some(match func {
        2465 => (|x| Ok(c::asinh(x)), "pg_float_asinh"),
        2466 => (acosh, "pg_float_acosh"),
        2467 => (atanh, "pg_float_atanh"),
        2731 => (asind, "pg_float_asind"),
        2732 => (acosd, "pg_float_acosd"),
        2733 => (|x| Ok(x.atan() / known(1.0).atan() * 45.0), "pg_float_atand"),
        2735 => (sind, "pg_float_sind"),
        2736 => (cosd, "pg_float_cosd"),
        2737 => (tand, "pg_float_tand"),
        2738 => (cotd, "pg_float_cotd"),
        _ => return None,
    })
}

fn acosh(x: f64) -> Answer {
    if x < 1.0 { Err(Failure::Input) } else { Ok(c::acosh(x)) }
}

fn atanh(x: f64) -> Answer {
    if !(-1.0..=1.0).contains(&x) && !x.is_nan() {
        return Err(Failure::Input);
    }
    Ok(if x == -1.0 {
        f64::NEG_INFINITY
    } else if x == 1.0 {
        f64::INFINITY
    } else {
        c::atanh(x)
    })
}

const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

/// A constant that the compiler does not calculate with: the C library does, as in Postgres.
fn known(x: f64) -> f64 {
    std::hint::black_box(x)
}

/// For 0 to 1.
fn asind_q1(x: f64) -> f64 {
    if x <= 0.5 { x.asin() / known(0.5).asin() * 30.0 } else { 90.0 - x.acos() / known(0.5).acos() * 60.0 }
}

fn acosd_q1(x: f64) -> f64 {
    if x <= 0.5 { 90.0 - x.asin() / known(0.5).asin() * 30.0 } else { x.acos() / known(0.5).acos() * 60.0 }
}

fn asind(x: f64) -> Answer {
    if x.is_nan() {
        return Ok(f64::NAN);
    }
    if x.abs() > 1.0 {
        return Err(Failure::Input);
    }
    Ok(if x >= 0.0 { asind_q1(x) } else { -asind_q1(-x) })
}

fn acosd(x: f64) -> Answer {
    if x.is_nan() {
        return Ok(f64::NAN);
    }
    if x.abs() > 1.0 {
        return Err(Failure::Input);
    }
    Ok(if x >= 0.0 { acosd_q1(x) } else { 90.0 + asind_q1(-x) })
}

pub(super) fn atan2d(y: f64, x: f64) -> Answer {
    if y.is_nan() || x.is_nan() {
        return Ok(f64::NAN);
    }
    Ok(y.atan2(x) / known(1.0).atan() * 45.0)
}

fn sind_0_to_30(x: f64) -> f64 {
    (x * RADIANS_PER_DEGREE).sin() / (known(30.0) * RADIANS_PER_DEGREE).sin() / 2.0
}

fn cosd_0_to_60(x: f64) -> f64 {
    1.0 - (1.0 - (x * RADIANS_PER_DEGREE).cos()) / (1.0 - (known(60.0) * RADIANS_PER_DEGREE).cos()) / 2.0
}

/// For 0 to 90.
fn sind_q1(x: f64) -> f64 {
    if x <= 30.0 { sind_0_to_30(x) } else { cosd_0_to_60(90.0 - x) }
}

fn cosd_q1(x: f64) -> f64 {
    if x <= 60.0 { cosd_0_to_60(x) } else { sind_0_to_30(90.0 - x) }
}

/// The angle within one turn; NaN and infinity have none.
fn turn(x: f64) -> Option<Answer> {
    if x.is_nan() {
        Some(Ok(f64::NAN))
    } else if x.is_infinite() {
        Some(Err(Failure::Input))
    } else {
        None
    }
}

fn sind(x: f64) -> Answer {
    if let Some(answer) = turn(x) {
        return answer;
    }
    let (mut x, mut sign) = (x % 360.0, 1.0);
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        x = 180.0 - x;
    }
    Ok(sign * sind_q1(x))
}

fn cosd(x: f64) -> Answer {
    if let Some(answer) = turn(x) {
        return answer;
    }
    let (mut x, mut sign) = ((x % 360.0).abs(), 1.0);
    if x > 180.0 {
        x = 360.0 - x;
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    Ok(sign * cosd_q1(x))
}

/// The angle of the first quarter, and the sign of its tangent.
fn tangent_quarter(x: f64) -> (f64, f64) {
    let (mut x, mut sign) = (x % 360.0, 1.0);
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    (x, sign)
}

/// Not -0.
fn plain_zero(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x }
}

fn tand(x: f64) -> Answer {
    if let Some(answer) = turn(x) {
        return answer;
    }
    let (x, sign) = tangent_quarter(x);
    let tan_45 = sind_q1(45.0) / cosd_q1(45.0);
    Ok(plain_zero(sign * (sind_q1(x) / cosd_q1(x) / tan_45)))
}

fn cotd(x: f64) -> Answer {
    if let Some(answer) = turn(x) {
        return answer;
    }
    let (x, sign) = tangent_quarter(x);
    let cot_45 = cosd_q1(45.0) / sind_q1(45.0);
    Ok(plain_zero(sign * (cosd_q1(x) / sind_q1(x) / cot_45)))
}
