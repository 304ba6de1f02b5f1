//! Handmade reports for the rules, and the real archive, where it is present, for the counts the NIH published.

use flate2::{Compression, write::GzEncoder};

use super::*;

/// A report in Open-I's layout.
fn xml(id: &str, headings: &[&str], findings: &str, impression: &str) -> String {
    let majors = headings.iter().flat_map(|heading| ["<major>", heading, "</major>\n"]).collect::<String>();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<eCitation><uId id=\"{id}\"/><MedlineCitation><Article><Abstract>
        <AbstractText Label=\"COMPARISON\">Last year.</AbstractText>
        <AbstractText Label=\"INDICATION\">Cough.</AbstractText>
        <AbstractText Label=\"FINDINGS\">{findings}</AbstractText>
        <AbstractText Label=\"IMPRESSION\">{impression}</AbstractText>
        </Abstract></Article></MedlineCitation>
        <MeSH>{majors}<automatic>pneumonia</automatic></MeSH>
        <parentImage id=\"{id}_IM-1\"><caption>Chest</caption></parentImage></eCitation>"
    )
}

fn record(headings: &[&str]) -> Record {
    parse("t.xml", xml("CXR1", headings, "Seen.", "Known.").as_bytes()).unwrap()
}

fn archive(members: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn folder_with_archive(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(ARCHIVE), bytes).unwrap();
    dir
}

#[test]
fn the_text_is_findings_and_impression() {
    let xml = xml("CXR7", &["normal"], "  Clear\n lungs &amp; <i>normal</i> heart.", "No disease.");
    let record = parse("7.xml", xml.as_bytes()).unwrap();
    assert_eq!(record.id, "CXR7");
    assert_eq!(record.text, "Clear lungs & normal heart. No disease.");
    assert_eq!(record.images, ["CXR7_IM-1"]);
    assert_eq!(record.headings, ["normal"], "automatic headings are not read");
}

#[test]
fn headings_become_findings() {
    use Finding::*;
    for (heading, expected) in [
        ("Pulmonary Atelectasis/base/left", Some(Atelectasis)),
        ("Cardiomegaly/mild", Some(Cardiomegaly)),
        ("Pleural Effusion/right/small", Some(Effusion)),
        ("Pericardial Effusion", None),
        ("Infiltrate/lung/lingula", Some(Infiltration)),
        ("Mass/lung", Some(Mass)),
        ("Nodule", Some(Nodule)),
        ("Pneumonia/lower lobe", Some(Pneumonia)),
        ("Pneumothorax/left/apex", Some(Pneumothorax)),
        ("Hydropneumothorax", None),
        ("Consolidation/lung", Some(Consolidation)),
        ("Pulmonary Edema", Some(Edema)),
        ("Bullous Emphysema", Some(Emphysema)),
        ("Subcutaneous Emphysema", None),
        ("Pulmonary Fibrosis", Some(Fibrosis)),
        ("Cystic Fibrosis", None),
        ("Thickening/pleura/apex/right", Some(Pleural_Thickening)),
        ("Thickening/bronchi", None),
        ("Hernia, Hiatal/large", Some(Hernia)),
        ("Density/lung/mass", None),
    ] {
        assert_eq!(finding(heading, Effusions::Pleural), expected, "{heading}");
    }
    assert_eq!(finding("Pericardial Effusion", Effusions::Every), Some(Effusion));
    assert_eq!(record(&["Mass", "Nodule/lung"]).findings(Effusions::Pleural).len(), 2);
}

#[test]
fn reports_without_labels_quality_or_text_are_counted_and_left_out() {
    let empty = parse("t.xml", xml("CXR4", &["normal"], " ", "").as_bytes()).unwrap();
    let unlabelled = Record { headings: Vec::new(), ..record(&[]) };
    let records = [
        record(&["No Indexing"]),
        unlabelled,
        record(&["Technical Quality of Image Unsatisfactory ", "Mass"]),
        empty,
        record(&["normal"]),
        record(&["Calcinosis"]),
    ];
    let Reports { reports, left_out } = select(&records, Effusions::Pleural);
    assert_eq!(left_out, LeftOut { not_indexed: 2, poor_quality: 1, without_text: 1 });
    assert_eq!(reports.iter().map(|report| report.normal).collect::<Vec<_>>(), [true, false]);
    assert!(reports.iter().all(|report| report.findings.is_empty()));
}

#[test]
fn archive_folder_and_plain_folder_read_alike() {
    let (a, b) = (xml("CXR10", &["Mass"], "A.", ""), xml("CXR9", &["normal"], "B.", ""));
    let packed = folder_with_archive(&archive(&[
        ("ecgen-radiology/10.xml", &a),
        ("ecgen-radiology/9.xml", &b),
        ("README", "no report"),
    ]));
    let nested = tempfile::tempdir().unwrap();
    let folder = nested.path().join(FOLDER);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("10.xml"), &a).unwrap();
    std::fs::write(folder.join("9.xml"), &b).unwrap();
    let expected = records(packed.path()).unwrap();
    assert_eq!(expected.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["CXR9", "CXR10"]);
    assert_eq!(records(nested.path()).unwrap(), expected);
    assert_eq!(records(&folder).unwrap(), expected);
}

#[test]
fn damage_is_named_with_its_file_and_member() {
    let good = xml("CXR1", &["normal"], "A.", "B.");
    let message = |bytes: &[u8]| records(folder_with_archive(bytes).path()).unwrap_err().to_string();

    let broken = message(&archive(&[("ecgen-radiology/1.xml", &good), ("ecgen-radiology/2.xml", &good[..200])]));
    assert!(broken.contains("NLMCXR_reports.tgz, ecgen-radiology/2.xml: not a well-formed XML"), "{broken}");

    let twice = message(&archive(&[("1.xml", &good), ("2.xml", &good)]));
    assert!(twice.contains("2.xml: report `CXR1` is already in"), "{twice}");

    let whole = archive(&[("ecgen-radiology/1.xml", &good)]);
    let truncated = message(&whole[..whole.len() / 2]);
    assert!(truncated.contains("NLMCXR_reports.tgz") && truncated.contains("incomplete archive"), "{truncated}");
    assert!(message(b"PK not gzip").contains("incomplete archive"));
    assert!(message(b"").contains("NLMCXR_reports.tgz"));
    assert!(message(&archive(&[("other.txt", "x")])).contains("neither NLMCXR_reports.tgz nor XML"));
}

#[test]
fn what_is_no_report_is_refused() {
    let message = |bytes: &[u8]| parse("x.xml", bytes).unwrap_err().to_string();
    assert!(message(b"").contains("x.xml: not a well-formed XML"));
    assert!(message(b"<a/>").contains("no <uId id="));
    assert!(message(b"<a>\xff</a>").contains("not UTF-8"));
    assert!(message(&vec![b' '; (MAX_REPORT_BYTES + 1) as usize]).contains("more than a megabyte"));
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(records(dir.path()), Err(DataError::NoReports(_))));
    assert!(matches!(records(&dir.path().join("none")), Err(DataError::Read { .. })));
}

/// The NIH's counts for Open-I (Wang et al. 2017, ChestX-ray8), over the reports that have images.
#[test]
fn the_real_archive_has_the_published_counts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/openi");
    if !dir.join(ARCHIVE).is_file() {
        eprintln!("skipped: {} is not here", dir.join(ARCHIVE).display());
        return;
    }
    let all = records(&dir).unwrap();
    assert_eq!(all.len(), 3955);
    let with_images: Vec<&Record> = all.iter().filter(|record| !record.images.is_empty()).collect();
    assert_eq!(with_images.len(), 3851);
    let sets: Vec<FindingSet> = with_images.iter().map(|record| record.findings(Effusions::Every)).collect();
    let counts = Finding::ALL.map(|finding| sets.iter().filter(|set| set.contains(finding)).count());
    assert_eq!(counts[..8], [315, 345, 153, 60, 15, 106, 40, 22]);
    assert_eq!(with_images.iter().filter(|record| record.is_normal()).count(), 1379);
    assert_eq!(with_images.iter().filter(|record| !record.is_indexed()).count(), 92);
    assert_eq!(with_images.iter().filter(|record| record.has_poor_quality()).count(), 84);
}
