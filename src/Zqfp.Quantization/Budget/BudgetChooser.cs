namespace Zqfp.Quantization;

/// <summary>
/// Chooses a way to store each weight. Costs add up, so the plans worth having are those on the lower hull of each weight's points (bytes,
/// cost): from the smallest plan on, the step that takes off most cost for a byte comes first.
/// </summary>
/// <remarks>Ties are broken by the order of the weights, so the same numbers give the same plan.</remarks>
internal static class BudgetChooser
{
    /// <summary>The plan of least cost that takes at most so many bytes; null where even the smallest takes more.</summary>
    public static int[]? WithinBytes(IReadOnlyList<BudgetUnit> units, long bytes)
    {
        int[] plan = Smallest(units);
        long left = bytes - Bytes(units, plan);
        if (left < 0)
        {
            return null;
        }

        // Steps that no longer fit are passed over: a smaller one may.
        foreach (Step step in Steps(units))
        {
            long more = units[step.Unit].Candidates[step.To].Bytes - units[step.Unit].Candidates[plan[step.Unit]].Bytes;
            if (more <= left && plan[step.Unit] == step.From)
            {
                plan[step.Unit] = step.To;
                left -= more;
            }
        }

        return plan;
    }

    /// <summary>
    /// The smallest plan whose cost is at most so much; the one of least cost where none is.
    /// </summary>
    public static int[] WithinCost(IReadOnlyList<BudgetUnit> units, double cost)
    {
        int[] plan = Smallest(units);
        foreach (Step step in Steps(units))
        {
            if (Cost(units, plan) <= cost)
            {
                break;
            }

            plan[step.Unit] = step.To;
        }

        return plan;
    }

    /// <summary>Bytes of a plan.</summary>
    public static long Bytes(IReadOnlyList<BudgetUnit> units, IReadOnlyList<int> plan) =>
        units.Select((unit, i) => unit.Candidates[plan[i]].Bytes).Sum();

    /// <summary>Cost of a plan.</summary>
    public static double Cost(IReadOnlyList<BudgetUnit> units, IReadOnlyList<int> plan) =>
        units.Select((unit, i) => unit.Candidates[plan[i]].Cost).Sum();

    /// <summary>The smallest plan.</summary>
    public static int[] Smallest(IReadOnlyList<BudgetUnit> units) => [.. units.Select(unit => Hull(unit)[0])];

    /// <summary>The steps along the hulls, the best first; those of one weight are in order, because a hull is convex.</summary>
    private static IEnumerable<Step> Steps(IReadOnlyList<BudgetUnit> units) => units
        .SelectMany((unit, i) =>
        {
            int[] hull = Hull(unit);
            return hull.Zip(hull.Skip(1), (from, to) => new Step(i, from, to, Gain(unit.Candidates[from], unit.Candidates[to])));
        })
        .OrderByDescending(step => step.Gain)
        .ThenBy(step => step.Unit)
        .ThenBy(step => step.To);

    /// <summary>The candidates on the lower hull: each next one takes more bytes, and off less cost for a byte.</summary>
    private static int[] Hull(BudgetUnit unit)
    {
        IReadOnlyList<BudgetCandidate> all = unit.Candidates;
        List<int> hull = [];
        foreach (int next in Enumerable.Range(0, all.Count).OrderBy(i => all[i].Bytes).ThenBy(i => all[i].Cost))
        {
            if (hull.Count > 0 && all[next].Cost >= all[hull[^1]].Cost)
            {
                continue;
            }

            while (hull.Count > 1 && Gain(all[hull[^2]], all[hull[^1]]) <= Gain(all[hull[^2]], all[next]))
            {
                hull.RemoveAt(hull.Count - 1);
            }

            hull.Add(next);
        }

        return [.. hull];
    }

    private static double Gain(BudgetCandidate from, BudgetCandidate to) => (from.Cost - to.Cost) / (to.Bytes - from.Bytes);

    private readonly record struct Step(int Unit, int From, int To, double Gain);
}
