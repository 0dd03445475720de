using System.Globalization;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What plans of a model can take, from its structure alone.</summary>
internal sealed class BudgetLimits
{
    private readonly string _path;
    private readonly long _fixedBytes;
    private readonly long _fixedWeights;
    private readonly long _otherBytes;
    private readonly long _overhead;

    private BudgetLimits(
        string path, IReadOnlyList<BudgetUnit> units, long fixedBytes, long fixedWeights, long otherBytes, long overhead)
    {
        _path = path;
        Units = units;
        _fixedBytes = fixedBytes;
        _fixedWeights = fixedWeights;
        _otherBytes = otherBytes;
        _overhead = overhead;
    }

    /// <summary>The weights that a budget decides about, without costs.</summary>
    public IReadOnlyList<BudgetUnit> Units { get; }

    /// <summary>The limits of a model.</summary>
    /// <exception cref="ZqfpException">ZQFP1009: there is nothing to decide about.</exception>
    public static BudgetLimits Of(OnnxFile file, ModelLayers model, QuantizeOptions options)
    {
        IReadOnlyList<BudgetUnit> units = BudgetCandidates.Of(file, model, options);
        if (units.Count == 0)
        {
            throw new ZqfpException("ZQFP1009",
                "A budget has no layer to decide about: the options leave out every one, or say how each is quantized.", file.Path);
        }

        HashSet<string> decided = [.. units.SelectMany(unit => unit.Layers).Select(layer => layer.Name)];
        LayerChoice[] others = [.. model.Chosen.Where(choice => !decided.Contains(choice.Layer.Name))];
        InspectReport report = InspectJob.Of(file, model, options);
        long structure = Math.Max(0, report.FileBytes - report.QuantizableBytes - report.OtherBytes);
        long fixedBytes = others.Sum(choice => QuantizedSize.Bytes(choice, options.Profiles[0]));
        return new BudgetLimits(
            file.Path,
            units,
            fixedBytes,
            others.Sum(choice => (long)choice.Layer.OutFeatures * choice.Layer.InFeatures),
            structure + report.OtherBytes + fixedBytes + model.Vocabulary.EmbeddingBytes,
            units.Sum(unit => unit.Layers.Count * BudgetCandidates.Overhead(unit.Candidates[0], unit.Layers[0])));
    }

    /// <summary>The bytes that a budget leaves for <see cref="Units"/>; what tensors take besides their numbers is estimated.</summary>
    public long BytesFor(Budget budget) => Most(budget) - (budget.Bits is null ? _overhead : 0);

    private long Most(Budget budget) => budget.Bits is { } bits
        ? (long)(bits * (_fixedWeights + Units.Sum(unit => unit.Weights)) / 8) - _fixedBytes
        : budget.Bytes!.Value - _otherBytes;

    /// <summary>Refuses a budget that no plan can keep, whatever tensors take besides their numbers.</summary>
    /// <exception cref="ZqfpException">ZQFP0034.</exception>
    public void Require(Budget budget)
    {
        if (budget.MaxIncrease is not null || SmallestBytes <= Most(budget))
        {
            return;
        }

        throw OutOfReach(budget, budget.Bits is not null
            ? string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(1000 * Bits(SmallestBytes)) / 1000:0.###} bits")
            : Budget.Megabytes(_otherBytes + SmallestBytes));
    }

    /// <summary>The refusal of a budget.</summary>
    /// <param name="budget">The budget.</param>
    /// <param name="smallest">What the smallest plan takes.</param>
    public ZqfpException OutOfReach(Budget budget, string smallest) => new("ZQFP0034",
        $"A budget of {budget.Describe()} cannot be kept: the smallest that these options reach is {smallest}, "
        + (_fixedWeights == 0
            ? "every layer in FP4 without a low-rank correction. "
            : string.Create(CultureInfo.InvariantCulture,
                $"{100.0 * Units.Sum(unit => unit.Weights) / (_fixedWeights + Units.Sum(unit => unit.Weights)):0} % of the weights in FP4 ")
                + "without a low-rank correction and the others, such as experts, as the options say (--rank 0 makes them smaller). ")
        + "Allow more, quantize more layers, or store head and embedding as FP8 too.",
        _path);

    /// <summary>What can be reached, in words.</summary>
    public string Describe() => string.Create(CultureInfo.InvariantCulture,
        $"from {Bits(SmallestBytes):0.00} bits a weight ({Budget.Megabytes(_otherBytes + SmallestBytes)}) on");

    private long SmallestBytes => Units.Sum(unit => unit.Candidates.Min(candidate => candidate.Bytes));

    private double Bits(long bytes) => 8.0 * (bytes + _fixedBytes) / (_fixedWeights + Units.Sum(unit => unit.Weights));
}
