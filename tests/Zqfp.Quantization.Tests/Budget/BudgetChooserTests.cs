using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

public sealed class BudgetChooserTests
{
    [Fact]
    public void Among_plans_of_convex_points_none_within_the_bytes_costs_less()
    {
        BudgetUnit[] units = [Unit((10, 8), (14, 3), (20, 1), (40, 0)), Unit((5, 20), (10, 9), (22, 2), (30, 0)), Unit((8, 1), (16, 0.4))];
        for (long bytes = 23; bytes <= 90; bytes++)
        {
            int[] plan = BudgetChooser.WithinBytes(units, bytes)!;
            Assert.True(BudgetChooser.Bytes(units, plan) <= bytes);

            // The greedy plan is the best of those that take no more than it does itself.
            double best = Plans(units).Where(other => BudgetChooser.Bytes(units, other) <= BudgetChooser.Bytes(units, plan))
                .Min(other => BudgetChooser.Cost(units, other));
            Assert.InRange(BudgetChooser.Cost(units, plan), best, best + 1.5);
        }

        Assert.Null(BudgetChooser.WithinBytes(units, 22));
        Assert.Equal([3, 3, 1], BudgetChooser.WithinBytes(units, 86)!);
    }

    [Fact]
    public void More_bytes_never_cost_more_and_a_smaller_cost_never_takes_fewer_bytes()
    {
        var random = new Random(3);
        BudgetUnit[] units =
        [
            .. Enumerable.Range(0, 30).Select(_ => Unit(
                [.. Enumerable.Range(1, 6).Select(i => (Bytes: (long)(i * 100) + random.Next(90), Cost: random.NextDouble() / i))]))
        ];
        long smallest = BudgetChooser.Bytes(units, BudgetChooser.Smallest(units));
        long before = 0;
        for (double cost = BudgetChooser.Cost(units, BudgetChooser.Smallest(units)); cost > 0.5; cost *= 0.9)
        {
            int[] plan = BudgetChooser.WithinCost(units, cost);
            Assert.True(BudgetChooser.Cost(units, plan) <= cost || cost < units.Sum(unit => unit.Candidates.Min(way => way.Cost)));
            Assert.True(BudgetChooser.Bytes(units, plan) >= Math.Max(before, smallest));
            before = BudgetChooser.Bytes(units, plan);
        }
    }

    [Fact]
    public void A_candidate_that_takes_more_and_costs_more_is_never_chosen()
    {
        BudgetUnit[] units = [Unit((10, 5), (12, 6), (14, 4.9), (20, 1))];
        Assert.Equal([0], BudgetChooser.WithinBytes(units, 19)!);
        Assert.Equal([3], BudgetChooser.WithinBytes(units, 20)!);
        Assert.Equal([3], BudgetChooser.WithinCost(units, 4.95));
        Assert.Equal([3], BudgetChooser.WithinCost(units, 0));
    }

    private static IEnumerable<int[]> Plans(BudgetUnit[] units) => units.Aggregate(
        (IEnumerable<int[]>)[[]],
        (plans, unit) => plans.SelectMany(plan => unit.Candidates.Select((_, i) => (int[])[.. plan, i])));

    private static BudgetUnit Unit(params (long Bytes, double Cost)[] candidates) => new(
        [
            new LinearLayer
            {
                Name = "layer",
                Nodes = [],
                Input = "x",
                Output = "y",
                Source = new ConstantWeight(new TensorProto(), null, [], Transposed: false, TensorProto.Types.DataType.Float, ["w"]),
                StoredInputMajor = false,
                InFeatures = 4,
                OutFeatures = 4,
                Type = DataType.Float,
            },
        ],
        [.. candidates.Select(candidate => new BudgetCandidate(new LayerOverride("layer"), candidate.Bytes, candidate.Cost))]);
}
