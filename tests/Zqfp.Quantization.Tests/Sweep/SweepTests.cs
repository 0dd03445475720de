using System.Text.Json;
using System.Xml.Linq;
using Zqfp.Evaluation;

namespace Zqfp.Quantization.Tests;

public sealed class SweepTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private SweepOptions Options => new()
    {
        ModelPath = SampleModel.Model,
        CalibrationPath = SampleModel.Calibration,
        TextPath = SampleModel.Evaluation,
        TokenizerPath = SampleModel.Tokenizer,
        Folder = _folder,
        Window = 64,
        CalibrationWindows = 4,
        Windows = 8,
        Tables = [SweepTable.Ranks],
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_table_is_measured_once_and_a_second_sweep_only_writes_it_again()
    {
        SweepReport first = SweepJob.Run(Options, new SilentObserver(), CancellationToken.None);
        var phases = new Phases();
        SweepReport second = SweepJob.Run(Options, phases, CancellationToken.None);

        Assert.Equal(["W4A8 FP-FP M2 nearest", "W4A8 FP-FP M2 nearest + LoRC 8", "W4A8 FP-FP M2 nearest + LoRC 16",
            "W4A8 FP-FP M2 nearest + LoRC 32"], first.Rows.Select(row => row.Name));
        Assert.All(first.Rows,
            row => Assert.True(row is { IsSimulated: false, Evaluation.Windows: 8, Evaluation.Against.IncreaseInterval: not null }));
        Assert.Equal(["LoRC is better than none", "rank 32 is better than rank 8"], first.Claims.Select(claim => claim.Claim));
        Assert.Equal(first.Rows.Select(row => row.Evaluation.Perplexity), second.Rows.Select(row => row.Evaluation.Perplexity));
        Assert.Empty(phases.Seen);
        Assert.False(Directory.Exists(Path.Combine(_folder, "scratch")));

        string markdown = File.ReadAllText(Path.Combine(_folder, "sweep.md"));
        Assert.Equal(4, markdown.Split('\n').Count(line => line.StartsWith("| W4A8", StringComparison.Ordinal)));
        Assert.Equal(
            4, JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder, "sweep.json"))).RootElement.GetProperty("rows").GetArrayLength());
        Assert.Equal(
            4, XDocument.Load(Path.Combine(_folder, "sweep.svg")).Descendants().Count(element => element.Name.LocalName == "circle"));
    }

    [Fact]
    public void A_sweep_that_was_cancelled_continues_at_the_configuration_it_was_at()
    {
        using var cancellation = new CancellationTokenSource();
        var stopping = new Phases
        {
            OnPhase = phase =>
            {
                if (phase.StartsWith(
            "2 of 4", StringComparison.Ordinal)) { cancellation.Cancel(); }
            }
        };
        Assert.Throws<OperationCanceledException>(() => SweepJob.Run(Options, stopping, cancellation.Token));

        var phases = new Phases();
        SweepJob.Run(Options, phases, CancellationToken.None);
        Assert.Equal(["2 of 4", "3 of 4", "4 of 4"], phases.Seen.Select(phase => phase[..6]).Distinct());
    }

    [Fact]
    public void Every_configuration_has_one_meaning_and_the_paper_s_claims_name_configurations()
    {
        SweepConfiguration[] all = [.. Enum.GetValues<SweepTable>().SelectMany(SweepConfiguration.Of)];

        Assert.All(all.GroupBy(configuration => configuration.Name), group => Assert.Single(group.Distinct()));
        EvaluationResult result = new()
        {
            Perplexity = 2,
            Tokens = 2,
            Windows = 1,
            Window = 2,
            Predictions = 1,
            WindowLosses = [0.7],
            TextHash = "",
        };
        SweepRow[] rows =
        [
            .. all.DistinctBy(configuration => configuration.Name)
                .Select(configuration => new SweepRow
                {
                    Name = configuration.Name,
                    Recipe = "",
                    IsSimulated = configuration.IsSimulated,
                    BitsPerWeight = 4,
                    Evaluation = result,
                })
        ];
        Assert.Equal(11, SweepClaims.Check(rows).Count);
    }

    [Theory]
    [InlineData(0.01, 0.02, true)]
    [InlineData(-0.02, -0.01, false)]
    [InlineData(-0.01, 0.02, null)]
    public void A_claim_holds_only_beyond_its_interval(double low, double high, bool? expected) =>
        Assert.Equal(expected, new SweepClaim("", "", "", (low + high) / 2, new Interval(low, high)).Holds);

    [Fact]
    public void A_missing_text_is_a_coded_error() =>
        Assert.StartsWith("ZQFP01",
            Assert.Throws<ZqfpException>(
                () => SweepJob.Run(Options with { TextPath = "none.txt" }, new SilentObserver(), CancellationToken.None)).Code,
            StringComparison.Ordinal);

    private sealed class Phases : IJobObserver
    {
        public List<string> Seen { get; } = [];

        public Action<string> OnPhase { get; init; } = _ => { };

        public void Report(JobProgress progress)
        {
            if (!progress.Phase.StartsWith("Float", StringComparison.Ordinal))
            {
                Seen.Add(progress.Phase);
                OnPhase(progress.Phase);
            }
        }

        public void Warn(Diagnostic warning)
        {
        }
    }
}
