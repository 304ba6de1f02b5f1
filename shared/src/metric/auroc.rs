//! Area under the receiver operating characteristic, and the operating point on it.

/// Area under the ROC curve: the chance that a random case scores above a random control, ties counting half.
///
/// `None` if there is no case or no control, and where a score is NaN. Exact, by ranks, in `n log n`.
///
/// # Panics
///
/// If the slices differ in length.
///
/// Source: Hanley and McNeil 1982; equal to the Mann-Whitney statistic over `n_pos · n_neg`.
pub fn auroc(scores: &[f32], present: &[bool]) -> Option<f64> {
    weighted_auroc(scores, present, &sorted_order(scores), &vec![1; scores.len()])
}

/// Positions of the scores in rising order.
pub(crate) fn sorted_order(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    order
}

/// [`auroc`] of a sample in which item `i` occurs `counts[i]` times; `order` is [`sorted_order`] of the scores.
pub(crate) fn weighted_auroc(scores: &[f32], present: &[bool], order: &[usize], counts: &[u32]) -> Option<f64> {
    assert_eq!(scores.len(), present.len(), "one label per score");
    let (mut pos_below, mut neg_below, mut wins) = (0f64, 0f64, 0f64);
    for equal in order.chunk_by(|&i, &j| scores[i] == scores[j]) {
        if scores[equal[0]].is_nan() {
            return None;
        }
        let (mut pos, mut neg) = (0f64, 0f64);
        for &i in equal {
            let count = f64::from(counts[i]);
            if present[i] {
                pos += count;
            } else {
                neg += count;
            }
        }
        wins += pos * (neg_below + neg / 2.0);
        pos_below += pos;
        neg_below += neg;
    }
    (pos_below > 0.0 && neg_below > 0.0).then(|| wins / (pos_below * neg_below))
}

/// The ROC curve: share of the controls and of the cases that are called present, as the threshold falls from above all
/// scores to below them, `(0, 0)` to `(1, 1)`. Equal scores make one step, so that the area under it is [`auroc`].
///
/// `None` if there is no case or no control, and where a score is NaN.
///
/// # Panics
///
/// If the slices differ in length.
///
/// Source: Fawcett 2006, "An introduction to ROC analysis", algorithm 1.
pub fn roc_curve(scores: &[f32], present: &[bool]) -> Option<Vec<(f64, f64)>> {
    assert_eq!(scores.len(), present.len(), "one label per score");
    let n_pos = present.iter().filter(|&&p| p).count();
    let n_neg = present.len() - n_pos;
    if n_pos == 0 || n_neg == 0 || scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    let (mut hits, mut false_alarms) = (0usize, 0usize);
    let mut curve = vec![(0.0, 0.0)];
    let mut order = sorted_order(scores);
    order.reverse();
    for equal in order.chunk_by(|&i, &j| scores[i] == scores[j]) {
        let n = equal.iter().filter(|&&i| present[i]).count();
        hits += n;
        false_alarms += equal.len() - n;
        curve.push((false_alarms as f64 / n_neg as f64, hits as f64 / n_pos as f64));
    }
    Some(curve)
}

/// The score from which calling the finding present gives the highest sensitivity + specificity (Youden's index).
///
/// Halfway between the two neighbouring scores, so that rounding does not move a case across it. `None` if there is no
/// case or no control.
pub fn youden_threshold(scores: &[f32], present: &[bool]) -> Option<f32> {
    let n_pos = present.iter().filter(|&&p| p).count();
    let n_neg = present.len() - n_pos;
    if n_pos == 0 || n_neg == 0 {
        return None;
    }
    let order = sorted_order(scores);
    let (mut missed, mut rejected) = (0usize, 0usize);
    let mut best = (f64::NEG_INFINITY, 0f32);
    for (rank, &i) in order.iter().enumerate() {
        let below = rank.checked_sub(1).map(|r| scores[order[r]]);
        if below != Some(scores[i]) {
            let index = rejected as f64 / n_neg as f64 - missed as f64 / n_pos as f64;
            if index > best.0 {
                best = (index, below.map_or(scores[i], |b| b.midpoint(scores[i])));
            }
        }
        if present[i] { missed += 1 } else { rejected += 1 }
    }
    Some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_count_of_ordered_pairs() {
        let scores = [0.1f32, 0.4, 0.35, 0.8, 0.4, 0.4, 0.05];
        let present = [false, false, true, true, true, false, false];
        let mut wins = 0.0;
        for (i, &a) in scores.iter().enumerate().filter(|(i, _)| present[*i]) {
            let _ = i;
            for (j, &b) in scores.iter().enumerate().filter(|(j, _)| !present[*j]) {
                let _ = j;
                wins += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
        assert!((auroc(&scores, &present).expect("both classes") - wins / 12.0).abs() < 1e-12);
    }

    #[test]
    fn the_area_under_the_curve_is_the_area() {
        let scores = [0.1f32, 0.4, 0.35, 0.8, 0.4, 0.4, 0.05];
        let present = [false, false, true, true, true, false, false];
        let curve = roc_curve(&scores, &present).expect("both classes");
        // 0.8, then the three 0.4 at once, 0.35, 0.1, 0.05.
        assert_eq!(curve, [(0.0, 0.0), (0.0, 1.0 / 3.0), (0.5, 2.0 / 3.0), (0.5, 1.0), (0.75, 1.0), (1.0, 1.0)]);
        let area: f64 = curve.windows(2).map(|w| (w[1].0 - w[0].0) * f64::midpoint(w[0].1, w[1].1)).sum();
        assert!((area - auroc(&scores, &present).expect("both classes")).abs() < 1e-12);
    }

    #[test]
    fn one_class_alone_has_no_area() {
        assert_eq!(auroc(&[0.1, 0.9], &[true, true]), None);
        assert_eq!(auroc(&[], &[]), None);
        assert_eq!(auroc(&[0.1, f32::NAN, 0.3], &[true, false, true]), None);
        assert_eq!(youden_threshold(&[0.1, 0.9], &[false, false]), None);
        assert_eq!(roc_curve(&[0.1, 0.9], &[true, true]), None);
        assert_eq!(roc_curve(&[0.1, f32::NAN], &[true, false]), None);
    }

    #[test]
    fn the_threshold_parts_separable_scores() {
        let threshold = youden_threshold(&[0.1, 0.2, 0.6, 0.9], &[false, false, true, true]).expect("both classes");
        assert!((threshold - 0.4).abs() < 1e-6, "{threshold}");
    }
}
