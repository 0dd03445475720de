using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// Quantizes a model within a budget: measures what each layer's candidates cost, chooses, quantizes, and where the budget is an increase
/// of the perplexity measures that on windows that nothing is fitted to, and chooses again.
/// </summary>
internal sealed class BudgetRun
{
    /// <summary>Plans quantized at most for an increase, or for a size that the structure of the files exceeds.</summary>
    private const int Attempts = 5;

    /// <summary>From this share of the allowed increase on a plan is near enough.</summary>
    private const double Enough = 0.85;

    private readonly QuantizeOptions _asked;
    private readonly QuantizeOptions _options;
    private readonly OnnxFile _file;
    private readonly InputFiles _inputs;
    private readonly OnceObserver _observer;
    private readonly CancellationToken _cancellation;
    private readonly ModelLayers _model;
    private readonly Budget _budget;

    /// <summary>Prepares the run.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="file">The model.</param>
    /// <param name="inputs">The files that the run reads, the model's among them.</param>
    /// <param name="observer">Where it reports to.</param>
    /// <param name="cancellation">Ends it.</param>
    public BudgetRun(
        QuantizeOptions options, OnnxFile file, InputFiles inputs, IJobObserver observer, CancellationToken cancellation)
    {
        _inputs = inputs;
        _asked = options;
        _options = options with { Budget = null };
        _budget = options.Budget!;
        _file = file;
        _observer = new OnceObserver(observer);
        _cancellation = cancellation;
        _model = ModelLayers.Of(file, _options);
    }

    /// <summary>Quantizes the model and writes it, with the recipe of its plan beside it.</summary>
    /// <exception cref="ZqfpException">ZQFP0034: the budget is out of reach. ZQFP0035: the text has too few windows.</exception>
    public QuantizeReport Execute()
    {
        var limits = BudgetLimits.Of(_file, _model, _options);
        limits.Require(_budget);
        CalibrationSplit split = CalibrationSplit.Load(_options, _model, holdsOut: _budget.MaxIncrease is not null, _cancellation);
        IReadOnlyList<BudgetUnit> units =
            new SensitivityProbe(_options, _file, _model, split.Fit.Windows, _observer, _cancellation).Measure(limits.Units);
        return _budget.MaxIncrease is { } increase ? WithinIncrease(units, split, increase) : WithinSize(units, limits, split);
    }

    private QuantizeReport WithinSize(IReadOnlyList<BudgetUnit> units, BudgetLimits limits, CalibrationSplit split)
    {
        long left = limits.BytesFor(_budget);
        for (int attempt = 1; ; attempt++)
        {
            int[] plan = BudgetChooser.WithinBytes(units, left) ?? BudgetChooser.Smallest(units);
            RequireLayers(units, plan);
            long excess = 0;
            QuantizeReport? report = Quantize(units, plan, split, _ => true, bytes =>
            {
                excess = bytes - (_budget.Bytes ?? bytes);
                return excess <= 0;
            });
            if (report is not null)
            {
                return Finish(report, units, plan, split, null, attempt);
            }

            if (attempt == Attempts || IsSmallest(units, plan))
            {
                throw limits.OutOfReach(_budget, Budget.Megabytes(_budget.Bytes!.Value + excess));
            }

            left -= excess;
        }
    }

    private QuantizeReport WithinIncrease(IReadOnlyList<BudgetUnit> units, CalibrationSplit split, double increase)
    {
        double[] exact = Losses(new ModelRewriter(_file, _model.Graph), split.Held);
        double allowed = Math.Log(1 + increase);
        double target = allowed;
        (int[] Plan, double Loss)? best = null;
        (int[] Plan, double Loss)? nearest = null;
        List<int[]> tried = [];
        for (int attempt = 1; attempt <= Attempts; attempt++)
        {
            int[] plan = BudgetChooser.WithinCost(units, target);
            if (tried.Exists(plan.SequenceEqual))
            {
                break;
            }

            tried.Add(plan);
            (double loss, double upper) = (double.NaN, double.NaN);
            bool isLast = false;
            bool isFloat = LayersOf(units, plan).Chosen.Count == 0;
            QuantizeReport? report = Quantize(units, plan, split, rewriter =>
            {
                (loss, double doubt) = Increase(Losses(rewriter, split.Held), exact);
                upper = loss + doubt;
                isLast = !isFloat && upper <= allowed
                    && (upper >= Enough * allowed || attempt == Attempts || IsSmallest(units, plan));
                return isLast;
            }, _ => true);
            _observer.Note(
                $"Plan {attempt}: {Describe(units, plan)}: {SignedPercent.Fixed(Math.Exp(loss) - 1)} on {split.Held.Count} calibration "
                + $"windows held out, with a standard error of {SignedPercent.Fixed(upper - loss).TrimStart('+')}");
            if (report is not null)
            {
                return Finish(report, units, plan, split, Math.Exp(loss) - 1, attempt);
            }

            if (!isFloat && upper <= allowed
                && (best is null || BudgetChooser.Bytes(units, plan) < BudgetChooser.Bytes(units, best.Value.Plan)))
            {
                best = (plan, loss);
            }

            nearest = nearest is { } known && known.Loss <= loss ? nearest : (plan, loss);
            target = Next(target, BudgetChooser.Cost(units, plan), upper, allowed, best is not null);
        }

        if (best is not { } found)
        {
            throw new ZqfpException("ZQFP0034",
                $"No plan that was tried raises the perplexity by at most {SignedPercent.Fixed(increase)} on the calibration windows held "
                + $"out: the nearest has {SignedPercent.Fixed(Math.Exp(nearest!.Value.Loss) - 1)} ({Describe(units, nearest.Value.Plan)}). "
                + "Allow more, or calibrate on more text.",
                _file.Path);
        }

        QuantizeReport again = Quantize(units, found.Plan, split, _ => true, _ => true)!;
        return Finish(again, units, found.Plan, split, Math.Exp(found.Loss) - 1, tried.Count);
    }

    /// <summary>
    /// The next cost to aim at: costs add up and the loss follows them, so by proportion; a little lower where nothing fits yet, and never
    /// by more than a factor of four at once.
    /// </summary>
    private static double Next(double target, double cost, double loss, double allowed, bool hasAny)
    {
        double proportion = loss > 0 && cost > 0 ? allowed / loss * cost : 4 * target;
        return Math.Clamp((hasAny ? 0.97 : 0.9) * proportion, target / 4, 4 * target);
    }

    private static bool IsSmallest(IReadOnlyList<BudgetUnit> units, int[] plan) => plan.SequenceEqual(BudgetChooser.Smallest(units));

    private QuantizeReport? Quantize(
        IReadOnlyList<BudgetUnit> units, int[] plan, CalibrationSplit split, Func<ModelRewriter, bool> accepts, Func<long, bool> fits)
    {
        QuantizeOptions options = OptionsOf(units, plan) with { Windows = split.Windows };
        return new QuantizationRun(options, _file, ModelLayers.Of(_file, options), _inputs, _observer, _cancellation)
            .Execute(accepts, fits, split.Fit);
    }

    /// <summary>A budget so large that every layer stays as it is asks for nothing.</summary>
    private void RequireLayers(IReadOnlyList<BudgetUnit> units, int[] plan)
    {
        if (LayersOf(units, plan).Chosen.Count == 0)
        {
            throw new ZqfpException("ZQFP1009",
                $"A budget of {_budget.Describe()} is kept without quantizing any layer. Allow less, or leave the budget out.", _file.Path);
        }
    }

    private ModelLayers LayersOf(IReadOnlyList<BudgetUnit> units, int[] plan) => ModelLayers.Of(_file, OptionsOf(units, plan));

    private QuantizeOptions OptionsOf(IReadOnlyList<BudgetUnit> units, int[] plan) => _options with
    {
        Selection = _options.Selection with { Overrides = [.. _options.Selection.Overrides, .. Overrides(units, plan)] },
    };

    private static IEnumerable<LayerOverride> Overrides(IReadOnlyList<BudgetUnit> units, int[] plan) => units.SelectMany((unit, i) =>
        unit.Layers.Select(layer => unit.Candidates[plan[i]].Change with { Pattern = layer.Name }));

    private double[] Losses(ModelRewriter rewriter, IReadOnlyList<int[]> windows)
    {
        using var model = new RewrittenModel(rewriter, _model.Facts, _options.Threads);
        return model.Losses(windows, _options.Threads, _cancellation);
    }

    /// <summary>
    /// The mean increase of the loss over the windows, and the standard error of that: what makes a window hard is the same for both models
    /// and cancels.
    /// </summary>
    private static (double Mean, double Error) Increase(double[] losses, double[] exact)
    {
        double[] differences = [.. losses.Zip(exact, (one, other) => one - other)];
        double mean = differences.Average();
        double squares = differences.Sum(difference => (difference - mean) * (difference - mean));
        return (mean, differences.Length > 1 ? Math.Sqrt(squares / (differences.Length - 1) / differences.Length) : 0);
    }

    private QuantizeReport Finish(
        QuantizeReport report, IReadOnlyList<BudgetUnit> units, int[] plan, CalibrationSplit split, double? increase, int attempts)
    {
        string recipe = _options.OutputPath + ".recipe.json";
        BudgetRecipe.Write(recipe, Overrides(units, plan), split.WindowsToName);
        return report with
        {
            Options = OptionList.Of(_asked),
            Budget = new BudgetReport
            {
                Asked = _budget.Describe(),
                Plan = Describe(units, plan),
                Recipe = recipe,
                Attempts = attempts,
                HeldOutIncrease = increase,
                HeldOutWindows = increase is null ? 0 : split.Held.Count,
                Layers = [.. units.SelectMany((unit, i) => unit.Layers.Select(layer => new BudgetedLayer(
                    layer.DisplayName, BudgetRecipe.Describe(unit.Candidates[plan[i]].Change),
                    8.0 * unit.Candidates[plan[i]].Bytes / unit.Weights, unit.Candidates[plan[i]].Cost)))],
            },
        };
    }

    /// <summary>Such as <c>30 layers fp4 g256 rank 8, 12 fp8</c>, the most frequent first.</summary>
    private static string Describe(IReadOnlyList<BudgetUnit> units, int[] plan) => string.Join(", ", units
        .SelectMany((unit, i) => unit.Layers.Select(_ => BudgetRecipe.Describe(unit.Candidates[plan[i]].Change)))
        .GroupBy(words => words)
        .OrderByDescending(group => group.Count())
        .ThenBy(group => group.Key, StringComparer.Ordinal)
        .Select(group => $"{group.Count()} {group.Key}"));

    /// <summary>Passes a warning on once, of however many plans it holds.</summary>
    private sealed class OnceObserver(IJobObserver inner) : IJobObserver
    {
        private readonly HashSet<Diagnostic> _said = [];

        public void Report(JobProgress progress) => inner.Report(progress);

        public void Note(string message, bool isDetail = false) => inner.Note(message, isDetail);

        public void Warn(Diagnostic diagnostic)
        {
            if (_said.Add(diagnostic))
            {
                inner.Warn(diagnostic);
            }
        }
    }
}
