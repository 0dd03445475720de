
namespace Zqfp.Evaluation.Tests;

public sealed class EvaluateJobTests
{
    [Fact]
    public void Windows_do_not_depend_on_how_many_are_evaluated()
    {
        EvaluationResult few = SampleModel.Evaluate(SampleModel.Model, 3);
        EvaluationResult more = SampleModel.Evaluate(SampleModel.Model, 20);
        Assert.Equal(3 * 127, few.Predictions);
        Assert.Equal(121041, few.Tokens);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(more.WindowLosses[i], few.WindowLosses[i], 5);
        }
    }
}
